"""Decisions of numbered and real components together, and their values, as the page shows them."""

import csv

import numpy as np
import pytest

from policy_server.contract.reading import read_schema
from policy_server.frontend.answers import Decision, read_decision
from policy_server.frontend.csv_cells import written
from policy_server.frontend.decision_rows import decision_cells, decision_columns
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.head import Head
from policy_server.frontend.renderers.mixed import MixedRenderer
from policy_server.frontend.renderers.numbered import NumberedRenderer
from policy_server.frontend.renderers.real import RealRenderer
from policy_server.frontend.renderers.registry import parts_of, renderer_of
from policy_server.frontend.renderers.renderer import Taken

ACTIONS = read_schema(
    "observations: {x: {type: float}}\n"
    "actions: {throttle: {type: float}, steer: {type: str, enum: [left, right]}, "
    "wheel: {type: float}}"
).actions
DISTRIBUTION = {
    "heads": [{"actions": [0, 1], "meanings": ["left", "right"], "probabilities": [0.25, 0.75]}],
    "dimensions": [
        {"mean": 0.5, "standard_deviation": 0.1},
        {"mean": -2.0, "standard_deviation": 0.0},
    ],
}


def decision(throttle: float, steer: int, wheel: float = 2.0) -> Decision:
    values = {"throttle": throttle, "steer": ["left", "=right"][steer], "wheel": wheel}
    return read_decision({"actions": [throttle, steer, wheel], "density": 0.3, "values": values})


@pytest.mark.parametrize(
    ("answer", "renderer"),
    [
        ({"actions": [0.5, 1, 2.0]}, MixedRenderer),
        ({"actions": [0.5, 2.0], "density": 1.0}, RealRenderer),
        ({"action": 1.0}, RealRenderer),
        ({"actions": [1, 0], "meanings": ["a", "b"], "probability": 0.5}, NumberedRenderer),
    ],
)
def test_the_renderer_is_that_of_the_kind(answer: dict[str, object], renderer: type) -> None:
    assert type(renderer_of(read_decision(answer))) is renderer


def test_parts_stand_in_the_order_of_the_action() -> None:
    parts = parts_of(DISTRIBUTION, ACTIONS)
    assert [type(each) for each in parts] == [Dimension, Head, Dimension]
    assert [each.described() for each in parts] == [
        "mean 0.5, standard deviation 0.1",
        "left 25.0 %, right 75.0 %",
        "action -2, always",
    ]


def test_a_decision_is_worded_by_its_values() -> None:
    lines = MixedRenderer().lines(decision(0.25, 0), {"throttle": "m/s"})
    assert "throttle 0\\.25 m/s" in lines[0]
    assert "steer left" in lines[0]
    assert "density **0.3**" in lines[1]
    assert "0.25, 0, 2" in lines[1]


def test_another_number_counts_one() -> None:
    assert decision(0.25, 0).distance_to(decision(0.75, 1)) == 1.5
    pairs = [(decision(0.25, 0), decision(0.25, 0)), (decision(0.25, 0), decision(0.25, 1))]
    metric = MixedRenderer().compared(pairs)
    assert metric.value == f"{0.5 / 3:.4g}"


def test_effects_count_changes_of_numbers_and_distances_of_others() -> None:
    before = np.array([[0.5, 3.0], [0.5, 1.0]])
    after = np.array([[[[1.5, 3.0], [0.5, 1.0]]], [[[0.5, 7.0], [0.5, 2.0]]]])
    sure = Taken(before, np.ones(2)), Taken(after, np.ones((2, 1, 2)))
    assert MixedRenderer().effects(*sure).mean(axis=1).tolist() == [0.5, 1.0]


def test_effects_are_how_far_probabilities_move_whichever_action_is_first() -> None:
    """Of two actions: 0.9 to 0.6 of the same one, 0.6 to 0.7 of the other one."""
    before = Taken(np.zeros((2, 1)), np.array([0.9, 0.6]))
    after = Taken(np.array([[[[0.0], [1.0]]]]), np.array([[[0.6, 0.7]]]))
    assert NumberedRenderer().effects(before, after).ravel() == pytest.approx([0.3, 0.3])


def test_a_file_of_decisions_has_the_values_and_no_formula() -> None:
    one = decision(0.25, 1)
    cells = dict(zip(decision_columns(one), decision_cells(one), strict=True))
    assert cells["values.throttle"] == 0.25
    assert cells["values.steer"] == "=right"
    (row,) = list(csv.reader(written([list(cells.values())]).decode().splitlines()))
    assert row[list(cells).index("values.steer")] == "'=right"
    assert cells["density"] == 0.3
