"""Many actions stay tellable: their colours, and where cells say which action it is."""

import pytest

from policy_server.frontend.cell_labels import label, labelled
from policy_server.frontend.palettes import NAMED, STEPS, colours_of


@pytest.mark.parametrize("count", [2, 8, 9, 25, 60])
def test_no_two_actions_have_one_colour(count: int) -> None:
    colours = colours_of(
        [f"go to place {chr(97 + each % 26)}{each // 26}" for each in range(count)]
    )
    assert len(set(colours)) == count


def test_a_meaning_that_names_a_colour_has_it() -> None:
    colours = colours_of(["red light", "Green", "turn left"])
    assert colours[:2] == [NAMED["red"], NAMED["green"]]
    assert colours[2] not in colours[:2]


def test_colours_that_two_meanings_name_are_given_up() -> None:
    assert NAMED["red"] not in colours_of(["red left", "red right"])


def test_many_numbers_run_from_dark_to_bright_in_their_order() -> None:
    numbers = [str(each) for each in (5, -3, *range(10, 30))]
    colours = colours_of(numbers)
    assert colours[1] == STEPS[0]
    assert colours[-1] == STEPS[-1]
    assert len(set(colours)) == len(numbers)


def test_each_cell_of_a_small_map_is_labelled_and_each_region_of_a_fine_one() -> None:
    small = [(column, row) for column in range(7) for row in range(7)]
    assert labelled(small, ["a"] * 49) == [*range(49)]
    fine = [(column, row) for column in range(50) for row in range(50)]
    words = ["left" if column < 25 else "right" for column, _ in fine]
    words[0] = "speck"
    chosen = [(fine[each], words[each]) for each in labelled(fine, words)]
    assert [word for _, word in chosen] == ["left", "right"]
    assert chosen[1][0] in [(37, 24), (37, 25)]


def test_a_label_is_the_meaning_where_it_is_short() -> None:
    assert label(3, "up") == "up"
    assert label(3, "turn to the left") == "3"
