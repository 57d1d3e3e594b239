"""Operators of PyTorch that move numbers and compute none: shapes, parts, copies, new arrays."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from policy_server.proving.torch_programs.traced import (
    AXIS_END,
    Array,
    RowCount,
    Traced,
    UnknownProgram,
    apply,
    cast,
    graph_of,
    known,
    promoted,
)

MOST_PARTS = 10_000


def plain_sizes(sizes: Sequence[Any]) -> list[int]:
    """Sizes as numbers, those of the batch being RowCounts."""
    return [each if isinstance(each, RowCount) else int(known(each, "a shape")) for each in sizes]


def reshape(self: Traced, shape: Sequence[Any]) -> Traced:
    """The same numbers in another shape, of which one size may be -1."""
    sizes = plain_sizes(shape)
    array = self.array.reshape(sizes)
    graph = graph_of(self)
    if graph is None:
        return Traced(array, kept=self.kept)
    is_rows = [isinstance(each, RowCount) for each in sizes]
    if is_rows[:1] == [True] and array.shape[0] == self.array.shape[0] and not any(is_rows[1:]):
        target = graph.constant(np.array([0, *sizes[1:]], np.int64))  # 0 keeps the size
    else:
        target = graph.sizes(
            [None if row else size for row, size in zip(is_rows, sizes, strict=True)]
        )
    return Traced(array, graph.call("Reshape", str(self.name), target), graph)


def flatten(self: Traced, start_dim: int = 0, end_dim: int = -1) -> Traced:
    """Axes from one to another made into one."""
    start, end = self.axis(start_dim), self.axis(end_dim)
    sizes = [self.size(axis) for axis in range(self.axes)]
    # Without the batch among them, the rest is counted out; with it, it is what is left over.
    merged = math.prod(self.array.shape[start : end + 1]) if start else -1
    return reshape(self, [*sizes[:start], merged, *sizes[end + 1 :]] if sizes else [1])


def permute(self: Traced, dims: Sequence[int]) -> Traced:
    """Axes in another order."""
    order = [self.axis(axis) for axis in dims]
    return apply("Transpose", lambda x: x.transpose(order), self, perm=order)


def transpose(self: Traced, dim0: int, dim1: int) -> Traced:
    """Two axes exchanged."""
    order = list(range(self.axes))
    one, other = self.axis(dim0), self.axis(dim1)
    order[one], order[other] = other, one
    return permute(self, order)


def unsqueeze(self: Traced, dim: int) -> Traced:
    """A new axis of size 1."""
    axis = dim % (self.axes + 1)
    return _with_axes("Unsqueeze", lambda x: np.expand_dims(x, axis), self, [axis])


def squeeze(self: Traced, dim: Any = None) -> Traced:
    """Without an axis of size 1, or without all of them."""
    axes = [dim] if isinstance(dim, int) else dim
    axes = range(self.axes) if axes is None else [self.axis(axis) for axis in axes]
    gone = [axis for axis in axes if self.array.shape[axis] == 1]
    return _with_axes("Squeeze", lambda x: np.squeeze(x, tuple(gone)), self, gone)


def _with_axes(
    operation: str, compute: Callable[[Array], Array], self: Traced, axes: list[int]
) -> Traced:
    if not axes:
        return self
    numbers = Traced(np.array(axes, np.int64))
    return apply(operation, lambda x, _: compute(x), self, numbers)


def slice_(self: Traced, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Traced:
    """Part of an axis."""
    first = 0 if start is None else int(known(start, "a place"))
    last = AXIS_END if end is None else min(int(known(end, "a place")), AXIS_END)
    axis, size = self.axis(dim), self.array.shape[self.axis(dim)]
    if last >= size:  # the batch's own too, however many rows there are
        last = AXIS_END
    if (first, step) == (0, 1) and last == AXIS_END:
        return self
    taken = (*(slice(None),) * axis, slice(first, last, step))
    bounds = [Traced(np.array([each], np.int64)) for each in (first, last, axis, step)]
    return apply("Slice", lambda x, *_: x[taken], self, *bounds)


def select(self: Traced, dim: int, index: Any) -> Traced:
    """One place of an axis, which goes."""
    axis, place = self.axis(dim), int(known(index, "a place"))
    chosen = Traced(np.array(place, np.int64))
    return apply("Gather", lambda x, at: np.take(x, at, axis), self, chosen, axis=axis)


def index_select(self: Traced, dim: int, index: Traced) -> Traced:
    """Places of an axis."""
    axis = self.axis(dim)
    return apply("Gather", lambda x, at: np.take(x, at, axis), self, index, axis=axis)


def index(self: Traced, indices: Sequence[Traced | None]) -> Traced:
    """Places of one axis, and all of the others."""
    given = [(axis, each) for axis, each in enumerate(indices) if each is not None]
    if len(given) != 1 or given[0][1].array.dtype == np.bool_ or given[0][1].axes != 1:
        raise UnknownProgram("it picks numbers by several lists of places, or by true and false")
    return index_select(self, *given[0])


def gather(self: Traced, dim: int, index: Traced, sparse_grad: bool = False) -> Traced:
    """For each place the number that another array names."""
    axis = self.axis(dim)
    return apply(
        "GatherElements", lambda x, at: np.take_along_axis(x, at, axis), self, index, axis=axis
    )


def embedding(weight: Traced, indices: Traced, *_: Any, **__: Any) -> Traced:
    """Rows of a table."""
    return index_select(weight, 0, indices)


def cat(tensors: Sequence[Traced], dim: int = 0) -> Traced:
    """Arrays side by side."""
    filled = [each for each in tensors if each.array.shape != (0,)]
    if not filled:
        raise UnknownProgram("it joins no arrays")
    axis = filled[0].axis(dim)
    operands = promoted(*filled)
    return apply("Concat", lambda *each: np.concatenate(each, axis), *operands, axis=axis)


def stack(tensors: Sequence[Traced], dim: int = 0) -> Traced:
    """Arrays side by side, along a new axis."""
    axis = dim % (tensors[0].axes + 1)
    return cat([unsqueeze(each, axis) for each in tensors], axis)


def split_with_sizes(self: Traced, split_sizes: Sequence[Any], dim: int = 0) -> list[Traced]:
    """Parts of an axis, of these sizes."""
    ends = np.cumsum(plain_sizes(split_sizes)).tolist()
    starts = [0, *ends[:-1]]
    return [slice_(self, dim, start, end) for start, end in zip(starts, ends, strict=True)]


def split(self: Traced, split_size: Any, dim: int = 0) -> list[Traced]:
    """Parts of an axis, of a size or of sizes."""
    if isinstance(split_size, list):
        return split_with_sizes(self, split_size, dim)
    size, whole = int(known(split_size, "a size")), self.array.shape[self.axis(dim)]
    if size < 1 or whole / size > MOST_PARTS:
        raise UnknownProgram(f"it cuts {whole} places into parts of {size}")
    return [slice_(self, dim, start, start + size) for start in range(0, whole, size)]


def chunk(self: Traced, chunks: int, dim: int = 0) -> list[Traced]:
    """So many parts of an axis."""
    return split(self, -(-self.array.shape[self.axis(dim)] // chunks), dim)


def unbind(self: Traced, dim: int = 0) -> list[Traced]:
    """Each place of an axis."""
    return [select(self, dim, place) for place in range(self.array.shape[self.axis(dim)])]


def copied(self: Traced, *_: Any, **__: Any) -> Traced:
    """The numbers themselves, which then may be changed."""
    return Traced(self.array.copy(), self.name, self.graph)


def same(self: Any, *_: Any, **__: Any) -> Any:
    """What is given."""
    return self


def to(self: Traced, *arguments: Any, **more: Any) -> Traced:
    """In another type; where it is computed does not matter."""
    for each in (*arguments, *more.values()):
        if isinstance(each, np.dtype):
            return cast(self, each)
        if isinstance(each, Traced):
            return cast(self, each.array.dtype)
    return self


def one_hot(self: Traced, num_classes: int = -1) -> Traced:
    """1 at the place that a number names, and 0 elsewhere."""
    if num_classes < 1:
        raise UnknownProgram("it makes one-hot of as many places as the numbers at hand take")
    places = Traced(np.arange(num_classes))
    found = apply("Equal", np.equal, unsqueeze(cast(self, np.int64), -1), places)
    return cast(found, np.int64)


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "alias": same,
    "cat": cat,
    "chunk": chunk,
    "clone": copied,
    "concat": cat,
    "contiguous": same,
    "detach": same,
    "embedding": embedding,
    "flatten": flatten,
    "gather": gather,
    "index": index,
    "index_select": index_select,
    "lift_fresh_copy": copied,
    "one_hot": one_hot,
    "permute": permute,
    "reshape": reshape,
    "select": select,
    "slice": slice_,
    "split": split,
    "split_with_sizes": split_with_sizes,
    "squeeze": squeeze,
    "stack": stack,
    "t": lambda self: transpose(self, 0, 1) if self.axes > 1 else self,
    "to": to,
    "_to_copy": to,
    "transpose": transpose,
    "type_as": lambda self, other: cast(self, other.array.dtype),
    "unbind": unbind,
    "unsqueeze": unsqueeze,
    "view": lambda self, size: reshape(self, size),
    "view_as": lambda self, other: reshape(self, [other.size(a) for a in range(other.axes)]),
}
"""By the names of PyTorch."""
