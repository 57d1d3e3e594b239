"""Sums, means, extremes and norms of PyTorch, and what a program asks of shapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from policy_server.proving.torch_programs.arithmetic import (
    absolute,
    add,
    div,
    exp,
    log,
    sqrt,
    square,
    sub,
)
from policy_server.proving.torch_programs.enlarging import expand
from policy_server.proving.torch_programs.layers import reduced
from policy_server.proving.torch_programs.shapes import reshape, squeeze
from policy_server.proving.torch_programs.traced import (
    Operand,
    Traced,
    UnknownProgram,
    apply,
    cast,
    known,
    lifted,
    real,
)

EUCLIDEAN, ABSOLUTE = 2, 1


def _over(
    operation: str, compute: Callable[..., Any], convert: Callable[[Operand], Traced] = lifted
) -> Callable[..., Traced]:
    def run(self: Traced, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Traced:
        found = reduced(operation, compute, convert(self), dim, keepdim)
        return cast(found, dtype) if isinstance(dtype, np.dtype) else found

    return run


def _summed(self: Operand) -> Traced:
    """Whole numbers and truths are summed as whole numbers."""
    array = lifted(self)
    return array if array.array.dtype.kind == "f" else cast(array, np.int64)


mean, total = _over("ReduceMean", np.mean, real), _over("ReduceSum", np.sum, _summed)
amax, amin = _over("ReduceMax", np.max), _over("ReduceMin", np.min)


def _place(operation: str, compute: Callable[..., Any]) -> Callable[..., Traced]:
    def run(self: Traced, dim: Any = None, keepdim: bool = False) -> Traced:
        array = reshape(self, [-1]) if dim is None else self
        axis = array.axis(0 if dim is None else dim)

        def places(numbers: Any) -> Any:
            return compute(numbers, axis=axis, keepdims=keepdim).astype(np.int64)

        return apply(operation, places, array, axis=axis, keepdims=int(keepdim))

    return run


argmax, argmin = _place("ArgMax", np.argmax), _place("ArgMin", np.argmin)


def _extreme(
    largest: Callable[..., Traced], places: Callable[..., Traced], of_two: Callable[..., Any]
) -> Callable[..., Any]:
    def run(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Traced) or not isinstance(self, Traced):
            return of_two(self, dim)
        if dim is None:
            return largest(self)
        return [largest(self, dim, keepdim), places(self, dim, keepdim)]

    return run


def _larger(one: Any, other: Any) -> Any:
    return max(one, other) if other is not None else max(one)


def _smaller(one: Any, other: Any) -> Any:
    return min(one, other) if other is not None else min(one)


def logsumexp(self: Traced, dim: Any, keepdim: bool = False) -> Traced:
    """The logarithm of a sum of powers."""
    highest = amax(self, dim, True)
    found = add(log(total(exp(sub(self, highest)), dim, True)), highest)
    return found if keepdim else squeeze(found, dim)


def _all_or_any(operation: str, compute: Callable[..., Any]) -> Callable[..., Traced]:
    def run(self: Traced, dim: Any = None, keepdim: bool = False) -> Traced:
        whole = cast(cast(self, np.bool_), np.int32)
        return cast(reduced(operation, compute, whole, dim, keepdim), np.bool_)

    return run


def norm(
    self: Traced, p: Any = EUCLIDEAN, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Traced:
    """A length."""
    if p in (None, EUCLIDEAN):
        return sqrt(total(square(self), dim, keepdim))
    if p == ABSOLUTE:
        return total(absolute(self), dim, keepdim)
    raise UnknownProgram(f"it takes a norm of {p}, and those of 1 and 2 are read")


def variance(
    self: Traced,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Traced:
    """The mean square of what is left without the mean."""
    given = [dim] if isinstance(dim, int) else dim
    axes = [self.axis(axis) for axis in given or range(self.axes)]
    count = int(np.prod([self.array.shape[axis] for axis in axes]))
    less = (1 if unbiased in (None, True) else 0) if correction is None else int(correction)
    centred = sub(self, mean(self, axes, True))
    found: Traced = div(total(square(centred), axes, keepdim), max(count - less, 0))
    return found


def cumsum(self: Traced, dim: int, dtype: Any = None) -> Traced:
    """Sums of all that came before along an axis."""
    axis = self.axis(dim)
    given = _summed(self)
    where = Traced(np.array(axis, np.int64))
    return apply("CumSum", lambda x, _: np.cumsum(x, axis, x.dtype), given, where)


def full(size: Sequence[Any], fill_value: Any, dtype: Any = None, **_: Any) -> Traced:
    """A new array of one number."""
    value = lifted(fill_value)
    usual = np.float32 if value.array.dtype.kind == "f" else value.array.dtype
    return expand(cast(value, dtype if isinstance(dtype, np.dtype) else usual), size)


def full_like(self: Traced, fill_value: Any, dtype: Any = None, **_: Any) -> Traced:
    """A new array of one number, as large as another one."""
    kind = dtype if isinstance(dtype, np.dtype) else self.array.dtype
    return full([self.size(axis) for axis in range(self.axes)], fill_value, kind)


def arange(*numbers: Any, dtype: Any = None, **named: Any) -> Traced:
    """Numbers that follow each other."""
    given = [known(each, "a range") for each in numbers if isinstance(each, int | float | Traced)]
    found = np.arange(*given, **{key: each for key, each in named.items() if key in ("end",)})
    usual = np.float32 if found.dtype.kind == "f" else np.int64
    return Traced(found.astype(dtype if isinstance(dtype, np.dtype) else usual))


def tensor(data: Any, dtype: Any = None, **_: Any) -> Traced:
    """An array of plain numbers."""
    array = np.array(data)
    if array.dtype.kind not in "bif":
        raise UnknownProgram("it makes an array of what are no plain numbers")
    usual = np.float32 if array.dtype.kind == "f" else array.dtype
    return Traced(array.astype(dtype if isinstance(dtype, np.dtype) else usual))


def size(self: Traced, dim: int | None = None) -> Any:
    """The sizes of an array, or of one axis."""
    if dim is None:
        return [self.size(axis) for axis in range(self.axes)]
    return self.size(self.axis(dim))


def item(self: Any) -> Any:
    """The only number of an array that never varies."""
    return known(self, "a decision of its code")


def of_new(fill: Any) -> Callable[..., Traced]:
    """Makes arrays of one number, in the type that is asked for or real numbers."""

    def run(size: Sequence[Any], dtype: Any = None, *_: Any, **__: Any) -> Traced:
        return full(size, float(fill) if not isinstance(dtype, np.dtype) else fill, dtype)

    return run


def of_kind(fill: Any) -> Callable[..., Traced]:
    """Makes arrays of one number, as large as another one."""

    def run(self: Traced, dtype: Any = None, *_: Any, **__: Any) -> Traced:
        return full_like(self, fill, dtype)

    return run


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "all": _all_or_any("ReduceMin", np.min),
    "amax": amax,
    "amin": amin,
    "any": _all_or_any("ReduceMax", np.max),
    "arange": arange,
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
    "dim": lambda self: self.axes,
    "full": full,
    "full_like": full_like,
    "item": item,
    "len": lambda self: self.size(0) if isinstance(self, Traced) else len(self),
    "linalg_vector_norm": norm,
    "logsumexp": logsumexp,
    "max": _extreme(amax, argmax, _larger),
    "mean": mean,
    "min": _extreme(amin, argmin, _smaller),
    "new_full": lambda self, size, fill_value, dtype=None, **_: full(
        size, fill_value, dtype or self.array.dtype
    ),
    "new_ones": lambda self, size, dtype=None, **_: full(size, 1, dtype or self.array.dtype),
    "new_zeros": lambda self, size, dtype=None, **_: full(size, 0, dtype or self.array.dtype),
    "norm": norm,
    "ones": of_new(1),
    "ones_like": of_kind(1),
    "scalar_tensor": lambda value, dtype=None, **_: full([], value, dtype),
    "size": size,
    "std": lambda *each, **more: sqrt(variance(*each, **more)),
    "sum": total,
    "sym_size": size,
    "tensor": tensor,
    "var": variance,
    "zeros": of_new(0),
    "zeros_like": of_kind(0),
}
"""By the names of PyTorch."""
