"""JSON pointers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.contract.pointers import pointer_to, steps_of


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([], ""),
        ([""], "/"),
        (["a/b"], "/a~1b"),
        (["m~n"], "/m~0n"),
        (["~1"], "/~01"),
        (["observations", 3, "x"], "/observations/3/x"),
    ],
)
def test_they_are_spelled_as_the_standard_spells_them(steps: list[str | int], pointer: str) -> None:
    assert pointer_to(steps) == pointer
    assert steps_of(pointer) == list(map(str, steps))


@given(st.lists(st.text("~/01a")))
def test_what_is_written_is_read_again(steps: list[str]) -> None:
    assert steps_of(pointer_to(steps)) == steps
