"""Two versions that decided on the same observations: what is renamed, and what is different."""

from policy_server.frontend.answers import Decision
from policy_server.frontend.comparing import (
    Pair,
    confusion,
    differing_most,
    in_first_words,
    renamed,
)

FIRST, LATER, SWAPPED = ("up", "right", "down"), ("up", "go right", "down"), ("right", "up", "down")


def decision(action: int, names: tuple[str, ...], certainty: float = 0.5) -> Decision:
    return Decision((action,), (names[action],), "probability", certainty)


def test_another_name_of_an_action_is_no_other_decision() -> None:
    pairs = [(decision(action, FIRST), decision(action, LATER)) for action in (0, 1, 2)]
    names = renamed(pairs)
    assert [(each.action, each.first, each.second) for each in names] == [(1, "right", "go right")]
    assert all(one.agrees_with(in_first_words(two, names)) for one, two in pairs)


def test_the_name_of_another_action_is_another_decision() -> None:
    pairs = [(decision(action, FIRST), decision(action, SWAPPED)) for action in (0, 1, 2)]
    assert renamed(pairs) == []
    assert [one.agrees_with(two) for one, two in pairs] == [False, False, True]


def test_the_confusion_table_counts_every_pair() -> None:
    pairs = [(decision(one, FIRST), decision(two, FIRST)) for one, two in [(0, 0), (0, 1), (0, 1)]]
    assert confusion(pairs) == [{"": "right", "right": 0, "up": 0}, {"": "up", "right": 2, "up": 1}]
    many = tuple(f"action {index}" for index in range(20))
    wide = confusion([(decision(each, many), decision(each, many)) for each in range(20)])
    assert len(wide) == 13
    assert sum(count for row in wide for count in row.values() if isinstance(count, int)) == 20
    numbers = Decision((0.5,), (), "density", 1.0)
    assert confusion([(numbers, numbers)]) == []


def test_what_differs_most_comes_first() -> None:
    pairs: list[Pair] = [
        (decision(0, FIRST, 0.9), decision(0, FIRST, 0.9)),
        (decision(0, FIRST, 0.6), decision(1, FIRST, 0.5)),
        (decision(0, FIRST, 0.9), decision(2, FIRST, 0.8)),
    ]
    assert differing_most(pairs, 10) == [2, 1]
    numbers = [Decision((each,), (), "density", 1.0) for each in (0.0, 0.5, 3.0)]
    assert differing_most([(numbers[0], each) for each in numbers], 1) == [2]
