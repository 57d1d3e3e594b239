"""The walk through the doors as the front-end plays and draws it."""

from collections.abc import Sequence

from examples.simple_stochastic_tuple.environment import COLOURS, DARK, GO, Doors, Scene

ROOMS = ("start", "intermediate", "goal")
LOOKS = {DARK: "#22262b", "red": "#c62f2f", "green": "#2e9b4f", "blue": "#2f6fc4"}
WIDTH, HEIGHT, TOP, GAP = 120, 110, 50, 30
FIGURE = "#e0a100"


class Stage:
    """A walk, and what it looks like."""

    def __init__(self) -> None:
        """Stand at the start."""
        self._doors = Doors()

    def reset(self, seed: int) -> dict[str, object]:
        """Begin an episode: the first observation."""
        return self._doors.reset(seed)

    def step(self, actions: Sequence[float]) -> tuple[dict[str, object], float, bool]:
        """Do what a policy has decided.

        Args:
            actions: As a decision has them.

        Returns:
            The observation, the reward, and whether the episode has ended.

        Raises:
            ValueError: There is no such action.
        """
        known = (range(GO + 1), range(len(COLOURS)))
        if len(actions) != len(known) or any(
            action not in each for action, each in zip(actions, known, strict=True)
        ):
            raise ValueError(f"An action here is 0 or {GO}, and a door from 0 to 2.")
        return self._doors.step(tuple(map(int, actions)))

    def scene(self) -> Scene:
        """What can be seen now."""
        return self._doors.scene()

    @staticmethod
    def draw(scenes: Sequence[Scene], ink: str) -> tuple[str, str]:
        """Draw the last of the scenes of an episode.

        Args:
            scenes: From the first on.
            ink: Colour of text.

        Returns:
            The drawing as SVG, and what it shows in words.
        """
        scene = scenes[-1]
        shapes = [
            f'<circle cx="22" cy="22" r="16" fill="{LOOKS[scene.lamp]}" stroke="{ink}"/>',
            _text(46, 27, f"lamp: {scene.lamp}", ink),
        ]
        for place, room in enumerate(ROOMS):
            shapes.append(_room(place, room, scene, ink))
        size = f'width="{len(ROOMS) * (WIDTH + GAP)}" height="{TOP + HEIGHT + 30}"'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(shapes)}</svg>'
        return svg, f"In the room {ROOMS[scene.state]}; the lamp shows {scene.lamp}."


def _room(place: int, name: str, scene: Scene, ink: str) -> str:
    """A room, who is in it, and the three doors that lead out of it."""
    x = 2 + place * (WIDTH + GAP)
    shapes = [
        f'<rect x="{x}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="none" '
        f'stroke="{ink}" stroke-width="2"/>',
        _text(x + 4, TOP + HEIGHT + 20, name, ink),
    ]
    if scene.state == place:
        shapes.append(
            f'<circle cx="{x + WIDTH // 2}" cy="{TOP + HEIGHT // 2}" r="18" fill="{FIGURE}" '
            f'stroke="{ink}"/>'
        )
    for door, colour in enumerate(COLOURS if place + 1 < len(ROOMS) else ()):
        y = TOP + 8 + door * 34
        shapes.append(
            f'<rect x="{x + WIDTH - 5}" y="{y}" width="10" height="26" fill="{LOOKS[colour]}" '
            f'stroke="{ink}"/>'
        )
    return "".join(shapes)


def _text(x: int, y: int, words: str, ink: str) -> str:
    look = f'font-family="sans-serif" font-size="14" fill="{ink}"'
    return f'<text x="{x}" y="{y}" {look}>{words}</text>'
