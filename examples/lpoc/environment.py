"""A grid factory: seven tables carry cores along its nodes; the policy steers one of them.

The steered table first drives to where a core waits, then takes it where it is due. The six
others wander. Coordinates are [column, row]; [0, 0] is the upper left corner.
"""

import random
from dataclasses import dataclass

PLAN = (
    ".......",
    ".#...#.",
    ".......",
    "..###..",
    ".......",
    ".#...#.",
    ".......",
)
NODES = tuple((x, y) for y, row in enumerate(PLAN) for x, node in enumerate(row) if node == ".")
MOVES = {"up": (0, -1), "right": (1, 0), "down": (0, 1), "left": (-1, 0)}
DIRECTIONS = tuple(MOVES)  # actions 0 to 3; action 4 is no movement
NO_MOVEMENT = 4
TABLES = 7  # on the floor at a time
FLEET = 11  # ids 0 to 10
STEERED = 0  # place of the steered table in the list of tables
MAX_STEPS = 60
STEP_COST = 0.02
COLLISION_COST = 0.1

Node = tuple[int, int]


def neighbour(node: Node, direction: str) -> Node | None:
    """The node next to a node, or None where the factory has none."""
    beside = node[0] + MOVES[direction][0], node[1] + MOVES[direction][1]
    return beside if beside in NODES else None


@dataclass(frozen=True)
class Scene:
    """What can be seen of the factory at a moment.

    Attributes:
        tables: Where they are, the steered one first.
        target: Where the steered table must go.
        has_core: It carries its core.
    """

    tables: tuple[Node, ...]
    target: Node
    has_core: bool


class GridFactory:
    """The factory as the steered table meets it.

    Reward: 1 for fetching the core, 1 for delivering it, less `STEP_COST` a step and
    `COLLISION_COST` for a move to where there is no free node (the table then stays).
    An episode ends with the delivery or after `MAX_STEPS` steps.
    """

    def __init__(self) -> None:
        """Build an empty factory; `reset` places the tables."""
        self._random = random.Random()
        self._tables: list[Node] = []  # the steered one first
        self._id = 0
        self._target = NODES[0]
        self._has_core = False
        self._steps = 0

    def reset(self, seed: int | None = None) -> dict[str, object]:
        """Place the tables and the core, and observe."""
        if seed is not None:
            self._random.seed(seed)
        self._tables = self._random.sample(NODES, TABLES)
        self._id = self._random.randrange(FLEET)
        self._has_core = False
        self._target = self._draw_target()
        self._steps = 0
        return self._observe()

    def step(self, action: int) -> tuple[dict[str, object], float, bool]:
        """Move the steered table, then let the others wander.

        Args:
            action: 0 up, 1 right, 2 down, 3 left, 4 no movement.

        Returns:
            The observation, the reward, and whether the episode has ended.
        """
        reward = -STEP_COST
        if action != NO_MOVEMENT and not self._move(STEERED, DIRECTIONS[action]):
            reward -= COLLISION_COST
        arrived = self._tables[STEERED] == self._target
        delivered = arrived and self._has_core
        if arrived:
            reward += 1.0
            self._has_core = not self._has_core
        if arrived and not delivered:
            self._target = self._draw_target()
        self._wander()
        self._steps += 1
        return self._observe(), reward, delivered or self._steps == MAX_STEPS

    def random_action(self, generator: random.Random) -> int:
        """Draw one of the five actions uniformly."""
        return generator.randrange(5)

    def scene(self) -> Scene:
        """What can be seen now."""
        return Scene(tuple(self._tables), self._target, self._has_core)

    def _draw_target(self) -> Node:
        here = self._tables[STEERED]
        return self._random.choice([node for node in NODES if node != here])

    def _move(self, table: int, direction: str) -> bool:
        """Move a table if there is a free node; say whether it moved."""
        beside = neighbour(self._tables[table], direction)
        if beside is None or beside in self._tables:
            return False
        self._tables[table] = beside
        return True

    def _wander(self) -> None:
        """Every other table tries, half of the time, to move in a random direction."""
        for table in range(STEERED + 1, TABLES):
            if self._random.random() < 0.5:
                self._move(table, DIRECTIONS[self._random.randrange(4)])

    def _observe(self) -> dict[str, object]:
        here = self._tables[STEERED]
        observation: dict[str, object] = {"id": self._id}
        for direction in ("left", "up", "right", "down"):
            beside = neighbour(here, direction)
            observation[f"has_{direction}_neighbour"] = beside is not None
            observation[f"is_{direction}_free"] = beside is not None and beside not in self._tables
        observation["coordinates"] = list(here)
        observation["has_core"] = self._has_core
        observation["target"] = list(self._target)
        return observation
