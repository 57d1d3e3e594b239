"""Numbers of the network to the values of an action as its schema declares it."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.contract.action_values import compile_values, unscalable
from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.reading import read_schema


def declared(actions: str) -> DeclaredActions:
    schema = read_schema(f"observations: {{x: {{type: float}}}}\nactions: {actions}\n")
    assert schema.actions is not None
    return schema.actions


MIXED = declared(
    '{steer: {type: str, enum: [left, straight, right]}, lamp: {type: "List[bool]", min_items: 2,'
    " max_items: 2}, gear: {type: int, minimum: -1, maximum: 2}, throttle: {type: float,"
    ' minimum: 0, maximum: 1}, wheels: {type: "List[float]", min_items: 2, max_items: 2}}'
)


def test_numbers_become_what_was_declared() -> None:
    values = compile_values(MIXED, None)
    assert values([2, 1, 0, 0, 0.25, -3.5, 7.0]) == {
        "steer": "right",
        "lamp": [True, False],
        "gear": -1,
        "throttle": 0.25,
        "wheels": [-3.5, 7.0],
    }


def test_each_answer_has_lists_of_its_own() -> None:
    values = compile_values(MIXED, None)
    first, second = values([0, 0, 0, 0, 0.0, 0.0, 0.0]), values([0, 0, 0, 0, 0.0, 0.0, 0.0])
    assert first["wheels"] is not second["wheels"]


def test_numbers_beyond_the_bounds_are_clipped() -> None:
    values = compile_values(declared("{a: {type: float, minimum: 0, maximum: 1}}"), None)
    found = [values([number])["a"] for number in (-1e300, -0.1, 0.5, 1.5, 1e308)]
    assert found == [0.0, 0.0, 0.5, 1.0, 1.0]
    below = compile_values(declared("{a: {type: float, maximum: 1}}"), None)
    assert [below([-9.0])["a"], below([9.0])["a"]] == [-9.0, 1.0]


RESCALED = declared("{a: {type: float, minimum: -2, maximum: 6}}")


@pytest.mark.parametrize(
    ("number", "value"),
    [(-1.0, -2.0), (0.0, 2.0), (1.0, 6.0), (0.5, 4.0), (-3.0, -2.0), (2.0, 6.0)],
)
def test_a_range_is_scaled_to_the_bounds(number: float, value: float) -> None:
    assert compile_values(RESCALED, (-1.0, 1.0))([number])["a"] == value


@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-6, 1e6),
    st.floats(-1e3, 1e3),
    st.floats(1e-3, 1e3),
    st.floats(0, 1),
)
def test_what_is_scaled_lies_within_the_bounds(
    low: float, width: float, start: float, length: float, share: float
) -> None:
    actions = declared(f"{{a: {{type: float, minimum: {low!r}, maximum: {low + width!r}}}}}")
    found = compile_values(actions, (start, start + length))([start + share * length])["a"]
    assert low <= found <= low + width  # type: ignore[operator]
    assert found == pytest.approx(low + share * width, abs=1e-6 * (abs(low) + width))


@pytest.mark.parametrize("name", ["a'b\n", "__import__('os')", "größe", "a", "lambda"])
def test_names_and_values_never_become_code(name: str) -> None:
    fields = read_schema("observations: {x: {type: str, enum: ['\"); boom(', '{0}']}}").fields
    actions = DeclaredActions({name: fields["x"]})
    assert compile_values(actions, None)([1]) == {name: "{0}"}


def test_dimensions_without_both_bounds_are_not_scaled() -> None:
    assert unscalable(MIXED) == ["wheels[0]", "wheels[1]"]
    values: Any = compile_values(declared("{a: {type: float, minimum: 0}}"), (-1.0, 1.0))
    assert values([0.25]) == {"a": 0.25}


def test_every_number_of_a_head_has_its_value() -> None:
    actions = declared("{a: {type: int, minimum: 3, maximum: 5}, b: {type: bool}}")
    values = compile_values(actions, None)
    found = [values(numbers) for numbers in itertools.product(range(3), range(2))]
    assert found == [{"a": a, "b": b} for a in (3, 4, 5) for b in (False, True)]
