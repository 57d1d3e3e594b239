"""What explains a decision keeps to what was seen, where fields depend on one another."""

from collections.abc import Sequence
from typing import Any

import pytest

from policy_server.contract.reading import read_schema
from policy_server.contract.schema import Observation
from policy_server.explaining.contributions import Contributions, contributions
from policy_server.explaining.curves import Curve, curves_of
from policy_server.explaining.ground import kept_valid
from policy_server.explaining.nearest import nearest_changes
from policy_server.explaining.quantity import Quantity

ROOM = 10_000
SCHEMA = read_schema(
    """
observations:
  floor: {type: int, minimum: 0, maximum: 9}
  height: {type: float, minimum: 0, maximum: 30, depends_on: [floor]}
  load: {type: float, minimum: 0, maximum: 1}
"""
)
MEAN = Quantity(0, None, "mean")


def seen(floor: int, load: float) -> Observation:
    """An observation as the world has it: each floor is three metres high."""
    return {"floor": floor, "height": 3.0 * floor, "load": load}


ROWS = [seen(floor, load) for floor in (0, 2, 3, 7) for load in (0.25, 0.75)]
NOW = seen(2, 0.5)


class Lift:
    """A policy of one dimension that remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, observations: Sequence[Observation]) -> list[dict[str, Any]]:
        self.asked += observations
        return [
            {"dimensions": [{"mean": self.mean(each), "standard_deviation": 1.0}]}
            for each in observations
        ]

    @staticmethod
    def mean(observation: Any) -> float:
        return float(observation["floor"] + 10 * observation["height"] - 4 * observation["load"])

    @property
    def possible(self) -> bool:
        """Whether it was asked about what can be, and about something."""
        return bool(self.asked) and all(
            each["height"] == 3.0 * each["floor"] for each in self.asked
        )


def curves(lift: Lift) -> dict[str, Curve]:
    imagine = kept_valid(SCHEMA.fields, NOW, ROWS)
    return {each.place.name: each for each in curves_of(SCHEMA, NOW, lift, ROOM, imagine)}


def test_curves_have_only_what_was_seen_and_what_depends_follows() -> None:
    lift = Lift()
    found = curves(lift)
    assert lift.possible
    assert found["floor"].values == (0, 2, 3, 7)
    assert [each["height"] for each in found["floor"].observations] == [0.0, 6.0, 9.0, 21.0]
    assert {each["load"] for each in found["floor"].observations} == {0.5}
    assert len(found["load"].values) == 41  # depends on nothing
    assert found["height"].values == (6.0,)  # no other is known of this floor


def test_the_nearest_change_carries_what_follows_from_it() -> None:
    lift = Lift()
    along = [*curves(lift).values()]
    nearest, *_ = nearest_changes(
        NOW, along, lift, MEAN, ROOM, kept_valid(SCHEMA.fields, NOW, ROWS)
    )
    assert lift.possible
    ((place, now, value),) = nearest.moves
    assert (place.name, now, value) == ("floor", 2, 3)
    assert nearest.observation == seen(3, 0.5)


def explained(lift: Lift, rows: Sequence[Observation]) -> Contributions:
    return contributions(SCHEMA, NOW, lift, MEAN, room=ROOM, rows=rows)


def test_what_depends_on_one_another_contributes_together() -> None:
    lift = Lift()
    found = explained(lift, ROWS)
    assert lift.possible
    assert {each.name for each in found.parts} == {"floor, height", "load"}
    assert sum(each.value for each in found.parts) == pytest.approx(found.found - found.usual)


def test_against_a_single_observation_contributions_are_its_differences() -> None:
    found = explained(Lift(), [seen(7, 0.25)])
    parts = {each.name: (each.value, each.margin) for each in found.parts}
    # floor and ten times the height: 62 of now, 217 of the other; -4 times the load: -2 and -1.
    assert parts == {"floor, height": (-155.0, 0.0), "load": (-1.0, 0.0)}
    assert (found.usual, found.found) == (216.0, 60.0)


def test_real_observations_that_lack_a_field_are_not_compared_with() -> None:
    without: Observation = {"floor": 7, "height": 21.0}
    assert explained(Lift(), [without, seen(7, 0.25)]).usual == 216.0
