"""Spaces of Gymnasium become fields that the server reads as the framework does."""

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from policy_server.contract.contract import ContractFile
from policy_server.export.folder import schema_text
from policy_server.export.spaces import ExportRefused, action_fields, observation_fields
from policy_server.policy.preprocessor import SchemaPreprocessor

WIDE = spaces.Box(*np.array([[-4.8, -np.inf, 0.1], [4.8, np.inf, 0.1]], np.float32))
SPACES: dict[str, Any] = {
    "numbers": WIDE,
    "double": spaces.Box(-1.1, 1.1, (2,), np.float64),
    "one": spaces.Box(-1, 1, ()),
    "image": spaces.Box(0, 255, (3, 4, 1), np.uint8),
    "whole": spaces.Box(-5, 5, (2,), np.int32),
    "unbounded": spaces.Box(-(2**63), 2**63 - 1, (2,), np.int64),
    "largest": spaces.Box(-np.finfo(np.float32).max, np.finfo(np.float32).max, (2,)),
    "number": spaces.Discrete(4, start=2),
    "several": spaces.MultiDiscrete([3, 2]),
    "grid": spaces.MultiBinary([2, 2]),
    "switches": spaces.MultiBinary(3),
    "truths": spaces.Box(0, 1, (2, 2), bool),
    "names": spaces.Dict({"no": spaces.Discrete(2), "robot: state": spaces.Discrete(3)}),
    "nested": spaces.Dict({"b": spaces.Discrete(2), "a": spaces.Dict({"c": WIDE})}),
    "tuple": spaces.Tuple([spaces.Discrete(3), spaces.Box(0, 1, (2,))]),
}
ACTION = action_fields(spaces.Discrete(2))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_the_server_makes_the_features_of_what_is_sent_that_the_kit_makes(space: Any) -> None:
    fields = observation_fields(space)
    contract = ContractFile(schema_text(fields, ACTION, {})).resolve()
    space.seed(0)
    values = [space.sample() for _ in range(20)]
    bodies = [json.dumps(fields.sent(value)).encode() for value in values]
    features = SchemaPreprocessor(contract.schema).features(
        [contract.decoder.decode(body) for body in bodies]
    )
    expected = np.stack([fields.features(value) for value in values])
    assert np.array_equal(features.features, expected)
    assert fields.size == expected.shape[1]


def test_names_make_a_field_of_each_number_with_its_own_bounds() -> None:
    fields = observation_fields(WIDE, ["position", "speed", "grip"])
    assert list(fields.words) == ["position", "speed", "grip"]
    assert fields.words["speed"] == {"type": "float"}
    assert fields.sent(np.array([0.5, 7, 0.1], np.float32)) == {
        "position": 0.5,
        "speed": 7.0,
        "grip": 0.1,
    }


@pytest.mark.parametrize("bound", [4.8, 0.1, 1 / 3, 0.41887903])
def test_bounds_hold_for_a_float32_however_it_is_written(bound: float) -> None:
    fields = observation_fields(spaces.Box(-bound, bound, (1,)), ["x"])
    limits, edge = fields.words["x"], np.float32(bound)
    for written in (float(edge), float(str(edge))):
        assert limits["minimum"] <= -written
        assert written <= limits["maximum"]


def test_what_lies_outside_of_its_space_is_refused_by_name() -> None:
    fields = observation_fields(spaces.Dict({"speed": spaces.Box(0, 1, (1,))}))
    with pytest.raises(ExportRefused, match=r"gave \[2\.\] for `speed`.*correct the bounds"):
        fields.sent({"speed": np.array([2], np.float32)})
    with pytest.raises(ExportRefused, match="`speed`"):
        fields.sent({"speed": np.array([np.nan], np.float32)})


def test_actions_become_the_actions_of_the_schema() -> None:
    box = spaces.Box(*np.array([[-2, 0], [2, 1]], np.float32))
    assert action_fields(spaces.Discrete(3, start=-1)).words == {
        "action": {"type": "int", "minimum": -1, "maximum": 1}
    }
    meant = action_fields(spaces.Discrete(2), ["gear"], ["up", "down"])
    assert meant.words == {"gear": {"type": "str", "enum": ["up", "down"]}}
    assert list(action_fields(box).words) == ["action_0", "action_1"]
    assert action_fields(box, ["turn", "push"]).words["push"] == {
        "type": "float",
        "minimum": 0.0,
        "maximum": 1.0,
    }
    assert action_fields(spaces.Box(-1, 1, (1,))).words["action"]["type"] == "float"
    assert action_fields(spaces.MultiDiscrete([3, 3])).words["action"] == {
        "type": "List[int]",
        "min_items": 2,
        "max_items": 2,
        "minimum": 0,
        "maximum": 2,
    }


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: observation_fields(spaces.Text(5)), "wrap the environment"),
        (lambda: observation_fields(WIDE, ["x", "y"]), "has 3 numbers.*x, y"),
        (lambda: observation_fields(WIDE, ["x", "y", "x"]), "Give one to each"),
        (lambda: observation_fields(SPACES["nested"], ["x"]), "leave `names` out"),
        (lambda: action_fields(spaces.Discrete(3), None, ["on", "off"]), "2 meanings"),
        (
            lambda: observation_fields(
                spaces.Dict({"a_b": WIDE, "a": spaces.Dict({"b": WIDE})}),
            ),
            "a_b: rename keys",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_remedy(make: Any, remedy: str) -> None:
    with pytest.raises(ExportRefused, match=remedy):
        make()
