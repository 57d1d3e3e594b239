"""Fields of an observation that mask actions: which are taken, and what random ones allow."""

import json
from typing import Any

import pytest

from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import SchemaError
from policy_server.policy.masks import Masks
from policy_server.policy.preprocessor import SchemaPreprocessor
from tests.support.policies import schema_features

ACTIONS = """\
actions:
  steer: {type: str, enum: [left, straight, right]}
  lamps: {type: "List[bool]", min_items: 2, max_items: 2}
  brake: {type: bool}
  speed: {type: float}
"""
MASKED = (
    """\
observations:
  lamps_allowed: {type: "List[bool]", min_items: 4, max_items: 4, mask_of: lamps}
  x: {type: float}
  may_steer: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer, required: false}
"""
    + ACTIONS
)


def faults(observations: str, actions: str = ACTIONS) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        read_schema(f"observations:\n  x: {{type: float}}\n  {observations}\n{actions}", "s.yaml")
    return [(fault.place, fault.detail) for fault in caught.value.faults]


def contract_of(text: str) -> Contract:
    return ContractFile(text).resolve()


@pytest.mark.parametrize(
    ("field", "fragment"),
    [
        ('m: {type: "List[bool]", min_items: 2, max_items: 2, mask_of: steer}', "of 3 booleans"),
        ('m: {type: "List[bool]", min_items: 0, max_items: 3, mask_of: steer}', "of 3 booleans"),
        ('m: {type: "List[int]", min_items: 3, max_items: 3, mask_of: steer}', "of 3 booleans"),
        ("m: {type: bool, mask_of: brake}", "of 2 booleans"),
        ('m: {type: "List[bool]", min_items: 1, max_items: 1, mask_of: speed}', "no numbered"),
        ('m: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: stear}', "none of the decl"),
        ('m: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: 3}', "is a text"),
        (
            'm: {type: "List[bool]", min_items: 4, max_items: 4, mask_of: lamps, required: false, '
            "default: [true, true, false, false]}",
            "allows no action",
        ),
    ],
)
def test_what_is_no_mask_is_refused(field: str, fragment: str) -> None:
    ((place, detail),) = faults(field)
    assert place == "s.yaml:3"
    assert fragment in detail


def test_an_action_has_one_mask_and_needs_to_be_declared() -> None:
    mask = '{type: "List[bool]", min_items: 2, max_items: 2, mask_of: brake}'
    ((_, detail),) = faults(f"m: {mask}\n  n: {mask}")
    assert "`m` is a mask of `brake` already" in detail
    ((_, detail),) = faults(f"m: {mask}", actions="")
    assert "none of the declared actions" in detail


def test_masks_are_no_features() -> None:
    schema = read_schema(MASKED)
    observation: Any = {"lamps_allowed": [True, False, True, True], "x": 0.25}
    assert schema_features(schema, observation).tolist() == [[0.25]]
    varying = MASKED.replace("x: {type: float}", "x: {type: float}\n  y: {type: bool}")
    assert SchemaPreprocessor(read_schema(varying))  # no fixed width is wanted of masks
    assert schema.as_json_schema()["properties"]["may_steer"]["x-mask-of"] == "steer"  # type: ignore[index]


def test_rows_hold_what_each_observation_allows() -> None:
    contract = contract_of(MASKED)
    masks = Masks(contract)
    observations = [
        {"lamps_allowed": [True, False, True, True], "x": 0.0, "may_steer": [False, True, False]},
        {"lamps_allowed": [False, False, True, True], "x": 0.0},
        {"lamps_allowed": [True, True, True, True], "x": 0.0, "may_steer": [False, False, False]},
    ]
    records = [contract.decoder.decode(json.dumps(each).encode()) for each in observations]
    allowed, forbidding = masks.of(records)
    assert allowed.tolist() == [
        [0, 1, 0, 1, 0, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 1, 1, 1, 1],
        [0, 0, 0, 1, 1, 1, 1, 1, 1],
    ]
    assert forbidding == {1: "lamps_allowed", 2: "may_steer"}
    assert masks.of([])[0].shape == (0, 9)


def allows_something(schema: ObservationSchema, observation: Any) -> bool:
    lamps = observation["lamps_allowed"]
    return any(lamps[:2]) and any(lamps[2:]) and any(observation.get("may_steer", [True]))


def test_random_observations_allow_something() -> None:
    schema = read_schema(MASKED)
    observations = random_observations(schema, 500, 3)
    assert all(allows_something(schema, each) for each in observations)
    seen = {tuple(each["lamps_allowed"]) for each in observations}  # type: ignore[arg-type]
    assert len(seen) == 9  # three of each pair, and all of these together
