"""The grid factory as the front-end plays and draws it."""

from collections.abc import Sequence

from examples.lpoc.environment import (
    NO_MOVEMENT,
    NODES,
    PLAN,
    STEERED,
    GridFactory,
    Node,
    Scene,
)

CELL, SIDE = 40, 40 * len(PLAN)
LEGEND = 190
STEERED_COLOUR, OTHER_COLOUR, TARGET_COLOUR = "#e0a100", "#8a9199", "#2e9b4f"


class Stage:
    """An episode in the factory, and what it looks like."""

    def __init__(self) -> None:
        """Build an empty factory; `reset` places the tables."""
        self._factory = GridFactory()

    def reset(self, seed: int) -> dict[str, object]:
        """Begin an episode: the first observation."""
        return self._factory.reset(seed)

    def step(self, actions: Sequence[float]) -> tuple[dict[str, object], float, bool]:
        """Do what a policy has decided.

        Args:
            actions: As a decision has them.

        Returns:
            The observation, the reward, and whether the episode has ended.

        Raises:
            ValueError: The factory has no such action.
        """
        if len(actions) != 1 or actions[0] not in range(NO_MOVEMENT + 1):
            raise ValueError(f"The factory has the actions 0 to {NO_MOVEMENT}.")
        return self._factory.step(int(actions[0]))

    def scene(self) -> Scene:
        """What can be seen now."""
        return self._factory.scene()

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
        shapes = [_cell((x, y), ink) for y in range(len(PLAN)) for x in range(len(PLAN[y]))]
        shapes += [_table(node, OTHER_COLOUR, ink) for node in scene.tables[STEERED + 1 :]]
        shapes.append(_target(scene))
        steered = scene.tables[STEERED]
        shapes.append(_table(steered, STEERED_COLOUR, ink))
        shapes += [_core(_middle(steered))] if scene.has_core else []
        shapes += _legend(ink)
        size = f'width="{SIDE + LEGEND}" height="{SIDE}"'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(shapes)}</svg>'
        carries = "carries its core, due" if scene.has_core else "is empty, and its core waits"
        others = ", ".join(str(list(node)) for node in scene.tables[STEERED + 1 :])
        words = f"The steered table at {list(steered)} {carries} at {list(scene.target)}."
        return svg, f"{words} Other tables are at {others}; [0, 0] is the upper left corner."


def _middle(node: Node) -> Node:
    return node[0] * CELL + CELL // 2, node[1] * CELL + CELL // 2


def _cell(node: Node, ink: str) -> str:
    """A place of the plan: a frame where there is a node, else a dark block."""
    x, y = node[0] * CELL + 2, node[1] * CELL + 2
    look = f'fill="none" stroke="{ink}" stroke-opacity="0.35"'
    if node not in NODES:
        look = f'fill="{ink}" fill-opacity="0.35"'
    return f'<rect x="{x}" y="{y}" width="{CELL - 4}" height="{CELL - 4}" rx="3" {look}/>'


def _table(node: Node, colour: str, ink: str) -> str:
    x, y = node[0] * CELL + 9, node[1] * CELL + 9
    size = CELL - 18
    return (
        f'<rect x="{x}" y="{y}" width="{size}" height="{size}" rx="5" fill="{colour}" '
        f'stroke="{ink}"/>'
    )


def _target(scene: Scene) -> str:
    """A ring where the table must go, with the core that waits there."""
    x, y = _middle(scene.target)
    ring = _ring(x, y)
    return ring if scene.has_core else ring + _core((x, y))


def _ring(x: int, y: int) -> str:
    return (
        f'<circle cx="{x}" cy="{y}" r="{CELL // 2 - 3}" fill="none" stroke="{TARGET_COLOUR}" '
        'stroke-width="4" stroke-dasharray="6 3"/>'
    )


def _core(middle: Node) -> str:
    x, y = middle
    points = f"{x},{y - 8} {x + 8},{y} {x},{y + 8} {x - 8},{y}"
    return f'<polygon points="{points}" fill="#c4563f" stroke="#ffffff" stroke-width="1.5"/>'


def _legend(ink: str) -> list[str]:
    """What the shapes are, beside the plan."""
    x = SIDE + 14
    shown = {
        "steered table": f'<rect x="{x}" y="12" width="22" height="22" rx="5" '
        f'fill="{STEERED_COLOUR}" stroke="{ink}"/>',
        "core": _core((x + 11, 23 + CELL)),
        "where it must go": _ring(x + 14, 23 + 2 * CELL),
        "other tables": f'<rect x="{x}" y="{12 + 3 * CELL}" width="22" height="22" rx="5" '
        f'fill="{OTHER_COLOUR}" stroke="{ink}"/>',
        "no node": f'<rect x="{x}" y="{12 + 4 * CELL}" width="22" height="22" rx="3" '
        f'fill="{ink}" fill-opacity="0.35"/>',
    }
    look = f'font-family="sans-serif" font-size="14" fill="{ink}"'
    texts = [
        f'<text x="{x + 38}" y="{28 + place * CELL}" {look}>{name}</text>'
        for place, name in enumerate(shown)
    ]
    return [*shown.values(), *texts]
