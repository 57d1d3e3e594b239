"""`clip`: the nearest number within bounds."""

from typing import Self

import numpy as np
import yaml

from policy_server.policy.preprocessing.operation import Given, Numbers, Operation, number_of, shown

ARITHMETIC = ((np.maximum, -np.inf), (np.minimum, np.inf))
ENDS = 2


class Clip(Operation):
    """Bounds numbers."""

    word = "clip"
    arithmetic = ARITHMETIC

    @classmethod
    def read(cls, given: Given) -> Self | None:
        bounds = bounds_of(given)
        return None if bounds is None else cls(*bounds)

    def in_words(self, expression: str, index: int) -> str:
        return expression + clipped_words(self.operands, index)


def bounds_of(given: Given) -> tuple[Numbers, Numbers] | None:
    """`[low, high]`, or one number c for `[-c, c]`, for all numbers; None with a fault."""
    node = given.node
    ends: list[float | None]
    if isinstance(node, yaml.SequenceNode):
        ends = [number_of(item) for item in node.value]
    else:
        end = number_of(node)
        ends = [None if end is None else -end, end]
    low, high = ends if len(ends) == ENDS else (None, None)
    if low is None or high is None:
        given.fault("is [low, high], or one number c for [-c, c].")
        return None
    if not low < high:
        given.fault(f"leaves one number at most: {shown(low)} is not below {shown(high)}.")
        return None
    return np.full(given.width, low), np.full(given.width, high)


def clipped_words(bounds: tuple[Numbers, ...], index: int) -> str:
    """What is said of a number that is clipped; nothing where it is not."""
    low, high = (float(each[index]) for each in bounds)
    return f", clipped to [{shown(low)}, {shown(high)}]" if np.isfinite(high) else ""
