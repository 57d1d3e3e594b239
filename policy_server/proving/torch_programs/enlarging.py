"""Operators of PyTorch that make arrays larger: the same numbers again and again."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from policy_server.proving.torch_programs.shapes import plain_sizes, reshape
from policy_server.proving.torch_programs.traced import (
    Operand,
    RowCount,
    Traced,
    UnknownProgram,
    apply,
    check_size,
    graph_of,
    lifted,
)


def expand(self: Operand, size: Sequence[Any], implicit: bool = False) -> Traced:
    """The same numbers again and again, along axes of size 1 and new ones."""
    array = lifted(self)
    sizes = plain_sizes(size)
    before = (1,) * (len(sizes) - array.axes) + array.array.shape
    sizes = [old if new == -1 else new for old, new in zip(before, sizes, strict=True)]
    check_size(sizes)
    rows = [each for each in sizes if isinstance(each, RowCount)]
    graph = graph_of(array) or (rows[0].graph if rows else None)
    found = np.broadcast_to(array.array, sizes).copy()
    if graph is None:
        return Traced(found)
    # 1 leaves a size as it is, that of the batch too.
    wanted = [
        1 if old == new else None if isinstance(new, RowCount) else new
        for old, new in zip(before, sizes, strict=True)
    ]
    name = array.name or graph.constant(array.array)
    return Traced(found, graph.call("Expand", name, graph.sizes(wanted)), graph)


def expand_as(self: Traced, other: Traced) -> Traced:
    """As large as another array."""
    return expand(self, [other.size(axis) for axis in range(other.axes)])


def broadcast_tensors(tensors: Sequence[Traced]) -> list[Traced]:
    """Arrays as large as all of them together."""
    axes = max(each.axes for each in tensors)
    sizes = []
    for axis in range(-axes, 0):
        given = [each.size(axis) for each in tensors if each.axes >= -axis]
        sizes.append(next((size for size in given if size != 1), 1))
    return [expand(each, sizes) for each in tensors]


def repeat(self: Traced, repeats: Sequence[Any]) -> Traced:
    """Copies side by side, so many along each axis."""
    counts = plain_sizes(repeats)
    wide = reshape(self, [1] * (len(counts) - self.axes) + [self.size(a) for a in range(self.axes)])
    if any(isinstance(each, RowCount) for each in counts):
        others = [count for count in counts if not isinstance(count, RowCount)]
        if others != [1] * len(others):
            raise UnknownProgram("it repeats rows of the batch together with other axes")
        return expand(wide, [c if isinstance(c, RowCount) else -1 for c in counts])
    times = Traced(np.array(counts, np.int64))
    check_size([size * count for size, count in zip(wide.array.shape, counts, strict=True)])
    return apply("Tile", lambda x, _: np.tile(x, counts), wide, times)


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "broadcast_tensors": broadcast_tensors,
    "expand": expand,
    "expand_as": expand_as,
    "repeat": repeat,
}
"""By the names of PyTorch."""
