"""The environments as the front-end plays and draws them."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import pytest

import examples
from policy_server.frontend.stages import Stage, stage_of

FOLDER = Path(examples.__file__).parent
ACTIONS = {"lpoc": (1,), "simple_stochastic_tuple": (1, 0), "thermostat": (2.5,)}
WRONG: dict[str, list[Sequence[float]]] = {
    "lpoc": [(5,), (0.5,), (-1,), (0, 0), ()],
    "simple_stochastic_tuple": [(0,), (2, 0), (0, 3), (0.5, 0), (0, 0, 0)],
    "thermostat": [(float("nan"),), (1.0, 2.0), ()],
}
INK = "#123456"

each_example = pytest.mark.parametrize("name", ACTIONS)


def stage(name: str) -> Stage:
    found = stage_of(FOLDER / name)
    assert found is not None
    return found


@each_example
def test_every_step_of_an_episode_is_drawn(name: str) -> None:
    played = stage(name)
    played.reset(7)
    scenes, ended, words = [played.scene()], False, set()
    while not ended:
        _, _, ended = played.step(ACTIONS[name])
        scenes.append(played.scene())
    for count in range(1, len(scenes) + 1):
        svg, said = played.draw(scenes[:count], INK)
        drawing = ElementTree.fromstring(svg)
        assert drawing.tag.endswith("svg")
        assert INK in svg
        words.add(said)
    assert len(words) > 1, "the drawing follows the episode"


@each_example
def test_the_same_seed_begins_the_same_episode(name: str) -> None:
    assert stage(name).reset(3) == stage(name).reset(3)
    assert any(stage(name).reset(3) != stage(name).reset(seed) for seed in range(4, 9))


@each_example
def test_an_action_that_is_none_changes_nothing(name: str) -> None:
    played = stage(name)
    played.reset(1)
    before = played.scene()
    for actions in WRONG[name]:
        with pytest.raises(ValueError, match="action"):
            played.step(actions)
    assert played.scene() == before


def test_an_example_without_an_environment_has_none(tmp_path: Path) -> None:
    assert stage_of(tmp_path) is None
