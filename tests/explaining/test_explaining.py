"""What explains a decision: numbers are those of the formulas, and margins hold what they say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import Observation
from policy_server.explaining.contributions import contributions
from policy_server.explaining.curves import curves_of
from policy_server.explaining.nearest import nearest_changes
from policy_server.explaining.occlusion import saliency
from policy_server.explaining.places import backgrounds, moved, places_of
from policy_server.explaining.quantity import Quantity, Weigh, in_pieces, quantities_of

ROOM = 10_000
SCHEMA = read_schema(
    """
observations:
  speed: {type: float, minimum: 0, maximum: 10}
  tilt: {type: "List[float]", minimum: -1, maximum: 1, min_items: 2, max_items: 2}
  idle: {type: float, minimum: 0, maximum: 1}
"""
)
NOW: Observation = {"speed": 7.5, "tilt": [0.5, -0.25], "idle": 0.3}
WEIGHTS = {"speed": 2.0, "tilt[0]": -3.0, "tilt[1]": 0.5, "idle": 0.0}
MEANS = {"speed": 5.0, "tilt[0]": 0.0, "tilt[1]": 0.0, "idle": 0.5}
"""Of random valid observations, but for the ends of ranges, which come up more often."""
MEAN = Quantity(0, None, "mean")


def numbers(observation: Observation) -> dict[str, float]:
    return {each.name: float(each.value(observation)) for each in places_of(SCHEMA, observation)}


def means(of: Any) -> Weigh:
    """A policy of one dimension."""

    def weigh(observations: Sequence[Observation]) -> list[dict[str, Any]]:
        found = [float(of(numbers(each))) for each in observations]
        return [{"dimensions": [{"mean": mean, "standard_deviation": 1.0}]} for mean in found]

    return weigh


def heads(decides: Any) -> Weigh:
    """A policy of two actions, `stay` and `go`, by the logit of the second."""

    def weigh(observations: Sequence[Observation]) -> list[dict[str, Any]]:
        go = [1 / (1 + np.exp(-float(decides(each)))) for each in observations]
        return [
            {
                "heads": [
                    {"actions": [0, 1], "meanings": ["stay", "go"], "probabilities": [1 - p, p]}
                ]
            }
            for p in go
        ]

    return weigh


def linear(values: dict[str, float]) -> float:
    return 4.0 + sum(WEIGHTS[name] * value for name, value in values.items())


def test_contributions_of_a_linear_policy_are_exact() -> None:
    found = contributions(SCHEMA, NOW, means(linear), MEAN, room=ROOM, seed=3)
    values = {part.name: part.value for part in found.parts}
    used = [
        numbers(each)
        for done in range(found.pairs // 64)
        for each in backgrounds(SCHEMA, 64, 3 * 4 + done)
    ]
    assert len(used) == found.pairs
    for name, now in numbers(NOW).items():
        usual = np.mean([each[name] for each in used])
        assert values[name] == pytest.approx(WEIGHTS[name] * (now - usual), abs=1e-9)
    assert values["idle"] == pytest.approx(0, abs=1e-12)


def test_margins_of_a_linear_policy_hold_its_exact_contributions() -> None:
    """Against the means that observations really have, in 19 of 20 cases about."""
    many = [numbers(each) for each in backgrounds(SCHEMA, 4000, 77)]
    exact = {
        name: WEIGHTS[name] * (now - np.mean([each[name] for each in many]))
        for name, now in numbers(NOW).items()
    }
    held = [
        abs(part.value - exact[part.name]) <= part.margin * 1.2
        for seed in range(20)
        for part in contributions(SCHEMA, NOW, means(linear), MEAN, room=400, seed=seed).parts
        if WEIGHTS[part.name]
    ]
    assert np.mean(held) >= 0.85


def test_contributions_add_up_and_share_what_is_done_together() -> None:
    """Of a product of two means of zero, each has half: (xy - E[y]x + xy - E[x]y) / 2 = xy / 2."""
    product = means(lambda values: values["tilt[0]"] * values["tilt[1]"])
    found = contributions(SCHEMA, NOW, product, MEAN, room=ROOM, seed=1)
    assert found.found == pytest.approx(-0.125)
    total = sum(part.value for part in found.parts)
    assert found.usual + total == pytest.approx(found.found, abs=1e-9)
    values = {part.name: part for part in found.parts}
    for name in ("tilt[0]", "tilt[1]"):
        part = values[name]
        assert abs(part.value + 0.0625) <= 2 * part.margin
        assert 0 < part.margin < 0.05
    assert values["speed"].value == pytest.approx(0, abs=1e-12)


def test_what_is_explained_of_a_decision() -> None:
    (weighed,) = heads(lambda each: each["speed"] - 5)([NOW])
    (quantity,) = quantities_of(weighed)
    assert quantity.words == "probability of go"
    assert quantity.of(weighed) == pytest.approx(1 / (1 + np.exp(-2.5)))
    assert (quantity.decided(weighed), quantity.decided_words(weighed)) == (1, "go")
    (dimension,) = quantities_of(means(linear)([NOW])[0])
    assert not dimension.is_share


def test_curves_are_what_the_policy_weighs_along_each_place() -> None:
    asked: list[int] = []

    def counted(observations: Sequence[Observation]) -> Any:
        asked.append(len(observations))
        return means(linear)(observations)

    curves = curves_of(SCHEMA, NOW, in_pieces(counted, 50), ROOM)
    assert max(asked) == 50
    assert [each.place.name for each in curves] == list(WEIGHTS)
    for curve in curves:
        expected = [
            linear(numbers(moved(NOW, {curve.place.path: value}))) for value in curve.values
        ]
        assert curve.numbers(MEAN) == pytest.approx(expected)
    assert NOW["tilt"] == [0.5, -0.25]


def changes(weigh: Weigh, schema: Any, observation: Observation) -> Any:
    (quantity,) = quantities_of(weigh([observation])[0])
    curves = curves_of(schema, observation, weigh, ROOM)
    return nearest_changes(observation, curves, weigh, quantity, ROOM)


def test_the_nearest_change_of_one_field_ends_where_the_decision_turns() -> None:
    weigh = heads(lambda each: each["speed"] - 5.03)
    nearest, *_ = changes(weigh, SCHEMA, NOW)
    ((place, now, value),) = nearest.moves
    assert (place.name, now) == ("speed", 7.5)
    assert 5.02 < value <= 5.03
    assert nearest.distance == pytest.approx((7.5 - value) / 10)
    assert nearest.observation == {**NOW, "speed": value}


def test_two_fields_that_change_the_decision_together_alone() -> None:
    schema = read_schema(
        "observations: {left: {type: bool}, right: {type: bool}, far: {type: bool}}"
    )
    now: Observation = {"left": False, "right": True, "far": False}
    weigh = heads(lambda each: 1 if each["left"] and not each["right"] else -1)
    (nearest,) = changes(weigh, schema, now)
    assert nearest.observation == {"left": True, "right": False, "far": False}
    assert nearest.distance == 2
    assert changes(heads(lambda each: -1), schema, now) == []


def test_what_is_covered_where_a_policy_looks_changes_its_decision() -> None:
    schema = read_schema(
        "observations: {view: {type: 'List[int]', shape: [24, 24], encoding: png,"
        " minimum: 0, maximum: 255}}"
    )
    field = schema.fields["view"]
    assert isinstance(field, EncodedArray)
    picture = np.zeros((24, 24), np.uint8)
    picture[2:4, 20:22] = 250
    now: Observation = {"view": field.write(picture)}
    weigh = heads(lambda each: field.read(each["view"])[2:4, 20:22].mean() / 100)
    (quantity,) = quantities_of(weigh([now])[0])
    found = saliency("view", field, now, weigh, quantity)
    assert found.cells.shape == (12, 12)
    assert divmod(int(found.cells.argmax()), 12) == (1, 10)
    assert np.count_nonzero(np.abs(found.cells) > 1e-9) == 1
    assert found.matters
    assert found.deciding == 0  # 2.5 becomes 0.02: still more than 0
    sure = heads(lambda each: field.read(each["view"])[2:4, 20:22].mean() / 100 - 1)
    assert saliency("view", field, now, sure, quantity).deciding == 1


@pytest.mark.parametrize(
    "weighed",
    [
        {"heads": [{"actions": [0, 1], "meanings": ["a", "b"], "probabilities": [0.3, 0.7]}]},
        {"dimensions": [{"mean": 0.0, "standard_deviation": 1.0}]},
    ],
)
def test_a_picture_that_does_not_matter_is_said_not_to(weighed: dict[str, Any]) -> None:
    schema = read_schema(
        "observations: {view: {type: 'List[int]', shape: [4, 4], encoding: png,"
        " minimum: 0, maximum: 255}}"
    )
    field = schema.fields["view"]
    assert isinstance(field, EncodedArray)
    now: Observation = {"view": field.write(np.arange(16, dtype=np.uint8).reshape(4, 4))}
    (quantity,) = quantities_of(weighed)
    found = saliency("view", field, now, lambda asked: [weighed] * len(asked), quantity)
    assert not found.matters
    assert not found.deciding


def test_the_maths_needs_no_page() -> None:
    room = Path(__file__).resolve().parents[2] / "policy_server" / "explaining"
    files = [*room.glob("*.py")]
    assert len(files) > 5
    assert not [each.name for each in files if "streamlit" in each.read_text(encoding="utf-8")]
