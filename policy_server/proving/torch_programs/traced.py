"""Numbers of a PyTorch program as it runs: what NumPy makes of them, and how ONNX would."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policy_server.proving.onnx_writing import GraphWriter

Array: TypeAlias = NDArray[Any]
MOST_NUMBERS = 50_000_000
"""Of one array."""
AXIS_END = 2**31 - 1
"""Beyond the end of any axis."""


class UnknownProgram(ValueError):
    """A program that is not turned into ONNX; the message says why."""


class Mismatch(UnknownProgram):
    """A program that does not compute with such an input; with another it may."""


class KeptChanged(UnknownProgram):
    """A program changes an array of its own, which it keeps from one call to the next.

    Attributes:
        arrays: That array, and views of it.
    """

    def __init__(self, arrays: "Sequence[Traced]") -> None:
        self.arrays = arrays
        super().__init__(
            "it changes what it keeps from one call to the next, and not as a buffer of its own, "
            "which is carried as memory"
        )


class RowCount(int):
    """How many rows a batch has, where a program asks for it: another number at another time.

    Attributes:
        graph: In which it is looked up; None where none is written.
    """

    graph: GraphWriter | None

    @classmethod
    def of(cls, count: int, graph: GraphWriter | None) -> "RowCount":
        """The rows of the batch that a graph is traced with."""
        self = cls(count)
        self.graph = graph
        return self


class Traced:
    """An array of a program.

    Attributes:
        name: What it is called in the graph; None where it is the same for all observations.
        graph: Into which it is traced; None where nothing is written.
        kept: It is one of the module's own, and stays from one call to the next.
    """

    def __init__(
        self,
        array: Array,
        name: str | None = None,
        graph: GraphWriter | None = None,
        *,
        kept: bool = False,
    ) -> None:
        self._array = np.asarray(array)
        self._outdated = False
        self._views = [self]
        self.name = name
        self.graph = graph
        self.kept = kept

    @property
    def array(self) -> Array:
        """Its numbers, for the batch at hand.

        Raises:
            UnknownProgram: They were changed through another array that has the same ones.
        """
        if self._outdated:
            raise UnknownProgram("it changes an array in place, and uses another view of it later")
        return self._array

    @property
    def axes(self) -> int:
        """How many it has."""
        return self.array.ndim

    def axis(self, number: int) -> int:
        """An axis, counted from the front."""
        axes = max(self.axes, 1)
        if not -axes <= number < axes:
            raise UnknownProgram(f"it asks for axis {number} of {axes}")
        return number % axes

    def size(self, axis: int) -> int:
        """The size of an axis; a RowCount where it is that of the batch."""
        size = int(self.array.shape[axis])
        if self.graph is not None and size == self.graph.rows:
            return RowCount.of(size, self.graph)
        return size

    def become(self, other: "Traced") -> "Traced":
        """Take the numbers of another one, as operations in place do."""
        if self.kept:
            raise KeptChanged(self._views)
        if other.array.shape != self.array.shape:
            raise UnknownProgram("it changes an array in place into one of another shape")
        changed = cast(other, self.array.dtype)
        for each in self._views:
            each._outdated = each is not self
        self._array, self.name, self.graph = changed.array, changed.name, changed.graph
        return self

    def share(self, view: "Traced") -> None:
        """Note that another array has the numbers of this one: what changes one changes both."""
        if view is not self:
            view.kept = view.kept or self.kept
            self._views.extend(each for each in view._views if each not in self._views)
            for each in self._views:
                each._views = self._views


Scalar: TypeAlias = bool | int | float
Operand: TypeAlias = Traced | Scalar


def apply(
    operation: str, compute: Callable[..., Array], *operands: Traced, **attributes: Any
) -> Traced:
    """What an operation makes of arrays: NumPy now, a node of the graph where it may vary.

    Args:
        operation: Of ONNX.
        compute: Does the same to arrays of NumPy.
        operands: The arrays.
        attributes: Of the node.
    """
    with np.errstate(all="ignore"):
        array = np.asarray(compute(*(each.array for each in operands)))
    check_size(array.shape)
    graph = graph_of(*operands)
    if graph is None:
        return Traced(array)
    return Traced(array, graph.call(operation, *_names(graph, operands), **attributes), graph)


def graph_of(*operands: Traced) -> GraphWriter | None:
    """The graph into which arrays are traced, if any of them varies."""
    return next((each.graph for each in operands if each.name is not None), None)


def _names(graph: GraphWriter, operands: Sequence[Traced]) -> list[str]:
    return [each.name or graph.constant(each.array) for each in operands]


def check_size(shape: Sequence[int]) -> None:
    """Raise UnknownProgram for arrays that are larger than any of a policy."""
    if np.prod([float(size) for size in shape]) > MOST_NUMBERS:
        raise UnknownProgram(f"it makes an array of the shape {list(shape)}")


def lifted(operand: Operand) -> Traced:
    """An operand as an array."""
    if isinstance(operand, Traced):
        return operand
    if not isinstance(operand, bool | int | float | np.generic):
        raise UnknownProgram(f"it computes with a {type(operand).__name__}")
    kinds = {bool: np.bool_, int: np.int64, float: np.float64}
    kind = next(kinds[each] for each in (bool, int, float) if isinstance(operand, each))
    return Traced(np.asarray(operand, kind))


def known(operand: Any, what: str) -> Any:
    """A plain number of what never varies.

    Raises:
        UnknownProgram: It follows from the observation.
    """
    if not isinstance(operand, Traced):
        return operand
    if operand.name is not None or operand.array.size != 1:
        raise UnknownProgram(f"it takes the numbers of an observation for {what}")
    return operand.array.item()


def cast(operand: Traced, kind: Any) -> Traced:
    """The same numbers in another type."""
    if operand.array.dtype == kind:
        return operand
    return apply("Cast", lambda array: array.astype(kind), operand, to=np.dtype(kind))


def promoted(*operands: Operand) -> list[Traced]:
    """Operands in the type that PyTorch computes them in.

    Numbers that are no arrays, and arrays without an axis, count only where they are of a higher
    kind: real before whole before true and false.
    """
    arrays = [lifted(each) for each in operands]
    kinds = [_kind(each) for each in arrays]
    top = max(kinds)
    same = [each for each, kind in zip(arrays, kinds, strict=True) if kind == top]
    ranked = [each for each in same if each.axes] or [
        each for each, given in zip(arrays, operands, strict=True) if given is each and each in same
    ]
    usual = (np.bool_, np.int64, np.float32)[top]
    dtypes = [each.array.dtype for each in ranked]
    kind = np.result_type(*dtypes) if dtypes else np.dtype(usual)
    return [cast(each, kind) for each in arrays]


def _kind(operand: Traced) -> int:
    return "bif".index({"u": "i"}.get(operand.array.dtype.kind, operand.array.dtype.kind))


def real(operand: Operand) -> Traced:
    """An operand as real numbers."""
    array = lifted(operand)
    return array if array.array.dtype.kind == "f" else cast(array, np.float32)


def binary(operation: str, compute: Callable[..., Array], one: Operand, other: Operand) -> Traced:
    """What an operation makes of two operands, in the type of both."""
    return apply(operation, compute, *promoted(one, other))
