"""Maps of what is possible: fields follow what they depend on, as real observations have it."""

import json
from pathlib import Path

import pytest

from policy_server.contract.reading import read_schema
from policy_server.contract.schema import Observation
from policy_server.explaining.ground import Ground
from policy_server.frontend.sweep import Axis, Sweep, axes_of, marks_of

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text())
GOLDEN: list[Observation] = [
    json.loads(line)["observation"]
    for line in (ROOT / "examples/lpoc/golden.jsonl").read_text().splitlines()
]
FOLLOWERS = [name for name in SCHEMA.fields if name.startswith(("has_", "is_"))]
FOLLOWERS.remove("has_core")


def held() -> Observation:
    example = SCHEMA.example()
    assert example is not None
    return example


def axes(*names: str) -> tuple[Axis, ...]:
    found = {axis.name: axis for axis in axes_of(SCHEMA, held())}
    return tuple(found[name] for name in names)


def ground(*moved: str) -> Ground:
    return Ground(SCHEMA.fields, held(), frozenset(moved), GOLDEN)


def test_only_places_of_real_observations_are_left_and_all_that_depends_on_them_follows() -> None:
    kept = ground("coordinates")
    assert kept.followers == FOLLOWERS
    values: tuple[list[object], ...] = ([*range(7)], [*range(7)])
    sweep = Sweep(axes("coordinates[0]", "coordinates[1]"), values, ground=kept)  # type: ignore[arg-type]
    asked = [*sweep.asked(held()).values()]
    places = {json.dumps(each["coordinates"]) for each in GOLDEN}
    assert {json.dumps(each["coordinates"]) for each in asked} == places
    assert len(asked) == len(places) < 49
    real = [{name: each[name] for name in (*FOLLOWERS, "coordinates")} for each in GOLDEN]
    for each in asked:
        assert {name: each[name] for name in real[0]} in real
        assert (each["target"], each["has_core"]) == (held()["target"], held()["has_core"])


def test_of_several_real_observations_the_one_that_is_most_like_the_form_counts() -> None:
    schema = read_schema(
        "observations:\n  a: {type: int}\n  b: {type: int, depends_on: [a]}\n  c: {type: int}\n"
    )
    rows: list[Observation] = [{"a": 1, "b": 5, "c": 0}, {"a": 1, "b": 6, "c": 9}]
    kept = Ground(schema.fields, {"a": 0, "b": 0, "c": 9}, frozenset("a"), rows)
    assert kept.possible({"a": 1, "b": 0, "c": 9}) == {"a": 1, "b": 6, "c": 9}
    assert kept.possible({"a": 2, "b": 0, "c": 9}) is None


def test_a_moved_field_that_depends_on_another_keeps_to_what_was_seen_with_it() -> None:
    kept = ground("has_up_neighbour")
    assert kept.followers == ["is_up_free"]
    assert kept.causes == ["has_up_neighbour", "coordinates"]
    there = next(each for each in GOLDEN if each["has_up_neighbour"])
    imagined = {**there, "has_up_neighbour": not there["has_up_neighbour"]}
    assert kept.possible(there) is not None
    assert kept.possible(imagined) is None  # a node is beside that place, or it is not


def test_what_nothing_depends_on_is_moved_alone() -> None:
    imagined = {**held(), "has_core": False}
    assert ground("has_core").possible(imagined) is imagined


@pytest.mark.parametrize(
    ("names", "marked"),
    [
        (("coordinates[0]", "coordinates[1]"), [("target", (6, 4))]),
        (("coordinates[1]", "coordinates[0]"), [("target", (4, 6))]),
        (("coordinates[0]", "target[1]"), []),
        (("coordinates[0]",), []),
        (("id", "has_core"), []),
    ],
)
def test_fields_of_the_kind_that_is_moved_are_marked(
    names: tuple[str, ...], marked: list[tuple[str, tuple[int, ...]]]
) -> None:
    assert [*marks_of(SCHEMA, axes(*names), held())] == marked


def test_real_observations_are_points_at_their_places() -> None:
    """Real observations keep their own values, whatever the form holds."""
    rows = tuple(GOLDEN[:3])
    sweep = Sweep(axes("coordinates[0]", "coordinates[1]"), ([0, 1], [0, 1]), rows=rows)
    assert [*sweep.asked(held()).values()] == [*rows]
    assert [list(point) for point in sweep.grid()] == [each["coordinates"] for each in rows]
    assert sweep.points == len(rows)
