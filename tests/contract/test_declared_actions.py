"""Actions that a schema declares: read in both dialects, with every fault at its line."""

from typing import Any

import jsonschema
import pytest

from policy_server.contract.actions import ActionSettings, ActionSpace, Kind
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.contract.specification import check_specification, render_specification
from policy_server.errors import SchemaError
from policy_server.resources import TEMPLATE

OBSERVATIONS = "observations: {x: {type: float}}\n"
DRIVE = (
    OBSERVATIONS
    + """\
actions:
  steer: {type: str, enum: [left, straight, right], description: Front wheels, example: left}
  throttle: {type: float, minimum: 0, maximum: 1, unit: share of full power, example: 0.5}
"""
)
DRIVE_SWAGGER = """\
Observation: {type: object, required: [x], properties: {x: {type: number}}}
Action:
  type: object
  properties:
    steer: {type: string, enum: [left, straight, right], description: Front wheels, example: left}
    throttle: {type: number, minimum: 0, maximum: 1, unit: share of full power, example: 0.5}
"""


def space(actions: str, settings: ActionSettings | None = None) -> ActionSpace:
    schema = read_schema(f"{OBSERVATIONS}actions: {actions}\n")
    return ActionSpace.of(settings or ActionSettings(), schema.actions)


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        read_schema(text, "s.yaml")
    return [(fault.place, fault.detail) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("actions", "kind", "several", "sizes"),
    [
        ("{a: {type: str, enum: [up, down, stay]}}", Kind.NUMBERED, False, (3,)),
        ("{a: {type: bool}}", Kind.NUMBERED, False, (2,)),
        ("{a: {type: int, minimum: -1, maximum: 3}}", Kind.NUMBERED, False, (5,)),
        ("{a: {type: int, enum: [1, 5]}}", Kind.NUMBERED, False, (2,)),
        ("{a: {type: float}}", Kind.REAL, False, (0,)),
        ("{a: {type: bool}, b: {type: int, minimum: 0, maximum: 2}}", Kind.NUMBERED, True, (2, 3)),
        ('{a: {type: "List[float]", min_items: 3, max_items: 3}}', Kind.REAL, True, (0, 0, 0)),
        ('{a: {type: "List[float]", min_items: 1, max_items: 1}}', Kind.REAL, True, (0,)),
        (
            '{a: {type: "List[str]", enum: [x, y], min_items: 2, max_items: 2}, b: {type: float}}',
            *(Kind.MIXED, True, (2, 2, 0)),
        ),
    ],
)
def test_the_kind_of_action_follows(
    actions: str, kind: Kind, several: bool, sizes: tuple[int, ...]
) -> None:
    found = space(actions)
    assert (found.kind, found.tuple, found.sizes) == (kind, several, sizes)


def test_both_dialects_say_the_same() -> None:
    compact, swagger = read_schema(DRIVE), read_schema(DRIVE_SWAGGER)
    assert compact.actions is not None
    assert compact.actions == swagger.actions
    assert [each.place for each in compact.actions.components] == ["steer", "throttle"]


def test_one_numbered_action_may_be_a_tuple_of_one() -> None:
    assert space("{a: {type: bool}}", ActionSettings(tuple=True)).tuple


@pytest.mark.parametrize(
    ("text", "line", "fragment"),
    [
        ("actions:\n  a: {type: int, minimum: 0}", 2, "`a` needs `minimum` and `maximum`"),
        (
            f"actions:\n  a: {{type: int, minimum: {-(2**63)}, maximum: {2**63 - 1}}}",
            *(2, "more than 65,536 values"),
        ),
        ('actions:\n  a: {type: "List[float]", min_items: 1, max_items: 2}', 2, "a fixed length"),
        ("actions:\n  a: {type: float, default: 1}", 2, "`a` has a `default`"),
        ("actions:\n  a: {type: float, required: false}", 2, "`a` is optional"),
        ("actions: {}", 1, "`actions` has at least one field"),
        ('actions:\n  a: {type: "List[float]", min_items: 0, max_items: 0}', 2, "has no number"),
        ("actions: [a]", 1, "must be a mapping"),
        (
            'actions:\n  a: {type: "List[float]", min_items: 1000000, max_items: 1000000}',
            *(2, "at most 1,000 numbers"),
        ),
        (
            'actions:\n  a: {type: "List[int]", minimum: 0, maximum: 999, min_items: 100, '
            "max_items: 100}",
            *(2, "at most 65,536 values in all"),
        ),
        ("Action:\n  type: object\n  properties: {a: {type: number}}", 2, "call it `actions`"),
        ("actions:\n  a: {type: str}", 2, "needs `enum`"),
        ("actions:\n  a: {type: bool}\nparameters: {discrete: false}", 2, "leave `discrete`"),
        (
            "actions:\n  a: {type: bool}\n  b: {type: bool}\nparameters: {tuple: false}",
            *(2, "2 at once, a tuple: leave `tuple`"),
        ),
        (
            "actions:\n  a: {type: bool}\n  b: {type: float}\nparameters: {discrete: true}",
            *(2, "numbered and real numbers together: leave `discrete`"),
        ),
    ],
)
def test_each_fault_is_reported_with_its_line(text: str, line: int, fragment: str) -> None:
    ((place, detail),) = faults(f"{text}\n{OBSERVATIONS}")
    assert place == f"s.yaml:{line}"
    assert fragment in detail


def test_settings_must_agree_when_the_contract_is_made() -> None:
    kept = ContractFile(DRIVE)
    assert kept.resolve().actions.kind is Kind.MIXED
    assert kept.resolve(ActionSettings(tuple=True)).actions.tuple
    for wrong in (ActionSettings(discrete=True), ActionSettings(tuple=False)):
        with pytest.raises(SchemaError, match="contradict"):
            kept.resolve(wrong)


def test_a_contract_is_kept_and_read_again() -> None:
    for text in (DRIVE, f"{OBSERVATIONS}actions: {{a: {{type: bool}}}}\n"):
        for settings in (ActionSettings(), ActionSettings(tuple=True)):
            contract = ContractFile(text).resolve(settings)
            again = ContractFile.of(contract).resolve()
            assert again.actions == contract.actions
            assert again.digest == contract.digest


def test_the_digest_is_that_of_the_meaning() -> None:
    digests = [
        ContractFile(text).resolve().digest
        for text in (
            DRIVE,
            DRIVE.replace("Front wheels", "Wheels").replace("share of full power", "percent"),
            DRIVE.replace("left, straight", "straight, left"),
            DRIVE.replace("maximum: 1", "maximum: 2"),
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def definitions(text: str) -> dict[str, Any]:
    contract = ContractFile(text).resolve()
    found: dict[str, Any] = check_specification(render_specification(contract, TEMPLATE))
    return found["definitions"]  # type: ignore[no-any-return]


def fits(found: dict[str, Any], name: str, answer: object) -> bool:
    schema = {"$ref": f"#/definitions/{name}", "definitions": found}
    return bool(jsonschema.Draft4Validator(schema).is_valid(answer))


def test_the_specification_has_the_action_and_its_values() -> None:
    found = definitions(DRIVE)
    assert found["Action"]["required"] == ["steer", "throttle"]
    assert found["Action"]["example"] == {"steer": "left", "throttle": 0.5}
    throttle = found["Action"]["properties"]["throttle"]
    assert throttle["description"] == "In share of full power"
    assert throttle["x-unit"] == "share of full power"
    values = {"steer": "right", "throttle": 0.25}
    prediction = {"actions": [2, 0.25], "density": 0.3, "values": values}
    assert fits(found, "Prediction", prediction)
    assert not fits(found, "Prediction", {**prediction, "values": {"steer": "right"}})
    assert not fits(found, "Prediction", {**prediction, "values": {**values, "throttle": 1.5}})
    assert not fits(found, "Prediction", {"actions": [2, 0.25], "density": 0.3})
    head = {"actions": [0], "meanings": ["left"], "probabilities": [1.0]}
    dimension = {"mean": 0.5, "standard_deviation": 0.2}
    assert fits(found, "Distribution", {"heads": [head], "dimensions": [dimension]})
    assert not fits(found, "Distribution", {"heads": [head]})


@pytest.mark.parametrize(
    ("actions", "prediction"),
    [
        ("{a: {type: bool}}", {"action": 1, "meaning": "true", "probability": 0.5}),
        ("{a: {type: float}}", {"action": 1.5, "density": 0.5}),
        ("{a: {type: bool}, b: {type: bool}}", {"actions": [1, 0], "meanings": ["true", "false"]}),
    ],
)
def test_values_are_promised_beside_each_kind(actions: str, prediction: dict[str, Any]) -> None:
    found = definitions(f"{OBSERVATIONS}actions: {actions}\n")
    assert found["Prediction"]["required"][-1] == "values"
    assert set(prediction) <= set(found["Prediction"]["properties"])


def test_without_the_section_nothing_is_promised() -> None:
    found = definitions(OBSERVATIONS)
    assert "Action" not in found
    assert "values" not in found["Prediction"]["properties"]


def test_a_unit_is_told_of_an_observation_too() -> None:
    schema = read_schema(
        "observations: {v: {type: float, unit: m/s, description: Speed}, w: {type: int}}"
    )
    field = schema.fields["v"]
    assert field.as_json_schema()["description"] == "Speed (in m/s)"
    assert field.in_words() == "a number, in m/s"
    plain = read_schema("observations: {v: {type: float, description: Speed}, w: {type: int}}")
    assert Contract(schema).digest == Contract(plain).digest
