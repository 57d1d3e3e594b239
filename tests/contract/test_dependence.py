"""Fields that depend on others: which follow, what is refused, and that it changes no contract."""

import pytest

from policy_server.contract.dependence import dependents
from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaError

FIELDS = """observations:
  place: {{type: "List[int]", min_items: 2, max_items: 2, minimum: 0, maximum: 6}}
  wall_ahead: {{type: bool{wall}}}
  distance: {{type: float{distance}}}
  charge: {{type: float}}
"""


def text(wall: str = "", distance: str = "") -> str:
    return FIELDS.format(wall=wall, distance=distance)


def test_what_depends_on_a_field_follows_it_by_way_of_others_too() -> None:
    schema = read_schema(text(", depends_on: [place]", ", depends_on: [wall_ahead]"))
    assert dependents(schema.fields, ["place"]) == ["wall_ahead", "distance"]
    assert dependents(schema.fields, ["wall_ahead"]) == ["distance"]
    assert dependents(schema.fields, ["charge"]) == []


def test_it_is_told_and_changes_no_contract() -> None:
    plain, told = read_schema(text()), read_schema(text(", depends_on: [place, charge]"))
    properties = told.as_json_schema()["properties"]
    assert isinstance(properties, dict)
    assert properties["wall_ahead"]["x-depends-on"] == ["place", "charge"]
    assert "x-depends-on" not in properties["distance"]
    assert told.digest == plain.digest


@pytest.mark.parametrize(
    ("wall", "distance", "fragment"),
    [
        (", depends_on: [plaice]", "", "depends on `plaice`, which is no field"),
        (", depends_on: [wall_ahead]", "", "`wall_ahead` depends on itself"),
        (", depends_on: [distance]", ", depends_on: [wall_ahead]", "depends on itself"),
        (", depends_on: place", "", "is a list of fields"),
        (", depends_on: []", "", "is a list of fields"),
        (", depends_on: [3]", "", "is a list of fields"),
    ],
)
def test_what_is_no_dependence_is_refused_by_line(wall: str, distance: str, fragment: str) -> None:
    with pytest.raises(SchemaError) as caught:
        read_schema(text(wall, distance), "s.yaml")
    first = caught.value.faults[0]
    assert first.place == "s.yaml:3"
    assert fragment in first.detail


def test_items_and_actions_depend_on_nothing() -> None:
    items = "observations:\n  x: {type: array, items: {type: int, depends_on: [x]}}\n"
    with pytest.raises(SchemaError) as caught:
        read_schema(items)
    assert "`depends_on` of `x[]` is not supported" in caught.value.faults[0].detail
    actions = "actions:\n  steer: {type: float, depends_on: [x]}\n"
    with pytest.raises(SchemaError) as caught:
        read_schema(f"observations:\n  x: {{type: float}}\n{actions}")
    assert "goes with observations only" in caught.value.faults[0].detail
