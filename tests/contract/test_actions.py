"""What clients are promised of an action, and which setting is wrong where a model breaks it."""

import pytest

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.policy.families.registry import FAMILIES
from tests.support.contracts import actions_of

CHOICES = (None, True, False)


@pytest.mark.parametrize("tuple_", CHOICES)
@pytest.mark.parametrize("discrete", CHOICES)
def test_settings_make_one_numbered_action_where_they_are_silent(
    tuple_: bool | None, discrete: bool | None
) -> None:
    made = ActionSpace.of(ActionSettings(tuple_, discrete)).settings
    assert made == ActionSettings(tuple_ is True, discrete is not False)


@pytest.mark.parametrize(
    ("discrete", "tuple_", "words"),
    [
        (True, False, "discrete actions"),
        (True, True, "tuples of discrete actions"),
        (False, False, "continuous actions"),
        (False, True, "tuples of continuous actions"),
    ],
)
def test_a_space_says_what_it_is(discrete: bool, tuple_: bool, words: str) -> None:
    actions = actions_of(discrete=discrete, tuple_=tuple_)
    assert actions.words == words
    assert actions.have_meanings is discrete


@pytest.mark.parametrize(
    ("family", "heads", "discrete", "tuple_", "told"),
    [
        ("categorical", 1, True, False, None),
        ("categorical", 2, True, True, None),
        ("gaussian", 3, False, False, None),
        ("gaussian", 1, False, True, None),
        ("categorical", None, True, True, None),
        ("given", 1, True, False, None),
        ("given", 2, True, False, "set TUPLE=True"),
        ("deterministic", 2, False, False, None),
        ("deterministic", 2, True, False, "set DISCRETE_ACTIONS=False"),
        ("categorical", 2, True, False, "set TUPLE=True and run `python generate.py schema`"),
        ("categorical", 1, True, True, None),
        ("greedy", 1, False, True, "set DISCRETE_ACTIONS=True"),
        ("greedy", 1, False, False, "set DISCRETE_ACTIONS=True"),
        ("gaussian", 1, True, False, "set DISCRETE_ACTIONS=False"),
    ],
)
def test_contradictions_name_the_setting(
    family: str, heads: int | None, discrete: bool, tuple_: bool, told: str | None
) -> None:
    actions = actions_of(discrete=discrete, tuple_=tuple_)
    found = actions.contradiction(FAMILIES[family].kind, heads, ())
    assert (found is None) if told is None else (found is not None and told in found)
