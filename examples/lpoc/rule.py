"""A hand-written policy for the grid factory: the shortest way, round tables that are near."""

from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import Any

from examples.lpoc.environment import DIRECTIONS, NO_MOVEMENT, Node, neighbour


@cache
def distances(target: Node) -> dict[Node, int]:
    """Moves from every node to the target in a factory without other tables."""
    found = {target: 0}
    waiting = deque([target])
    while waiting:
        node = waiting.popleft()
        for beside in (neighbour(node, direction) for direction in DIRECTIONS):
            if beside is not None and beside not in found:
                found[beside] = found[node] + 1
                waiting.append(beside)
    return found


def rule(observation: Mapping[str, Any]) -> int:
    """Move to the free neighbour nearest to the target, or wait where none is nearer."""
    here: Node = tuple(observation["coordinates"])
    to_target = distances(tuple(observation["target"]))
    best, action = to_target[here], NO_MOVEMENT
    for number, direction in enumerate(DIRECTIONS):
        beside = neighbour(here, direction)
        if beside and observation[f"is_{direction}_free"] and to_target[beside] < best:
            best, action = to_target[beside], number
    return action
