"""Real numbers of actions in declared values: how they are scaled, clipped and shown."""

import pytest

from policy_server.contract.action_values import Range, compile_values
from policy_server.contract.reading import read_schema
from policy_server.frontend.action_scale import applied, as_applied, clippings, scales_of, units_of
from policy_server.frontend.answers import Decision
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.registry import parts_of

ACTIONS = read_schema(
    "observations: {x: {type: float}}\n"
    "actions: {pull: {type: float, minimum: 0, maximum: 40, unit: N},"
    " wheels: {type: 'List[float]', min_items: 2, max_items: 2, minimum: -2, maximum: 2, unit: m},"
    " gear: {type: str, enum: [low, high]}}"
).actions
assert ACTIONS is not None
NUMBERS = ([0.25, -0.5, 0.75, 0], [-0.5, 5.0, 0.125, 1], [9.0, 0.25, 0.5, 1])


def decisions(action_range: Range | None, *numbers: list[float]) -> list[Decision]:
    assert ACTIONS is not None
    values = compile_values(ACTIONS, action_range)
    return [Decision(tuple(each), (), "density", 1.0, values(each)) for each in numbers]


@pytest.mark.parametrize("action_range", [None, (-1.0, 1.0), (0.0, 1.0), (-3.0, 5.0)])
def test_decisions_tell_how_numbers_become_values(action_range: Range | None) -> None:
    found = decisions(action_range, *NUMBERS)
    scales = scales_of(ACTIONS, found)
    assert [scale and scale.title for scale in scales] == [
        "pull (N)", "wheels[0] (m)", "wheels[1] (m)", None,
    ]  # fmt: skip
    for decision in found:
        pull, wheels, _ = decision.values.values()
        assert applied(decision, scales)[:3] == pytest.approx([pull, *wheels])


def test_where_all_is_clipped_no_scale_is_made_up() -> None:
    pull, *_ = scales_of(ACTIONS, decisions((-3.0, 5.0), [9.0, 0, 0, 0], [-9.0, 0, 0, 0]))
    assert pull is None


def test_decisions_are_compared_by_what_is_applied() -> None:
    one, two = map(as_applied, decisions(None, [50.0, 0.0, 0.0, 1], [90.0, 0.0, 1.0, 1]))
    assert list(one.actions) == [40.0, 0.0, 0.0, 1]
    assert one.distance_to(two) == 1.0


def test_what_is_clipped_is_said_with_its_unit() -> None:
    found = decisions(None, *NUMBERS, [50.0, 0.0, -3.0, 1])
    scales = scales_of(ACTIONS, found)
    assert clippings(found[-1], scales) == [
        "pull: 50 N is clipped to 40 N.",
        "wheels[1]: -3 m is clipped to -2 m.",
    ]
    assert clippings(found[0], scales) == []
    assert found[0].worded(units_of(ACTIONS)) == "pull 0.25 N, wheels [-0.5, 0.75] m, gear low"


def test_a_sure_policy_looks_sure_on_the_axis_of_the_bounds() -> None:
    scales = scales_of(ACTIONS, decisions((-1.0, 1.0), *NUMBERS))
    answer = {"mean": 0.5, "standard_deviation": 0.001}
    part = Dimension(answer["mean"], answer["standard_deviation"]).scaled(scales[0])
    assert (part.mean, part.standard_deviation) == pytest.approx((30, 0.02))
    area, *_ = part.chart(29.99).to_dict()["layer"]
    assert area["encoding"]["x"]["scale"]["domain"] == [0, 40]
    assert area["encoding"]["x"]["title"] == "pull (N)"
    table = next(iter(part.chart(None).to_dict()["datasets"].values()))
    assert max(row["density"] for row in table) == pytest.approx(part.density(30))
    assert part.described() == "mean 30 N, standard deviation 0.02, from 0 to 40"


def test_how_much_is_clipped_stands_below_the_chart() -> None:
    scales = scales_of(ACTIONS, decisions(None, *NUMBERS))
    heads = [{"actions": [0, 1], "meanings": ["low", "high"], "probabilities": [0.5, 0.5]}]
    dimensions = [
        {"mean": mean, "standard_deviation": deviation}
        for mean, deviation in ((40.0, 1.0), (0.0, 1.0), (3.0, 0.0))
    ]
    parts = parts_of({"heads": heads, "dimensions": dimensions}, ACTIONS, scales)
    notes = [part.note for part in parts]
    assert notes[0] == "50.0 % of what is drawn is clipped to 40 N."
    assert notes[1].count("2.3 % of what is drawn is clipped to") == 2
    assert notes[2:] == ["", ""]
    assert parts[2].described() == "action 2 m, always"
