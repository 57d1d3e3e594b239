"""Arithmetic and comparisons of PyTorch, number by number."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from policy_server.proving.torch_programs.traced import (
    Array,
    Operand,
    Traced,
    UnknownProgram,
    apply,
    binary,
    cast,
    lifted,
    promoted,
    real,
)


def _unary(operation: str, compute: Callable[[Array], Array]) -> Callable[[Operand], Traced]:
    def run(self: Operand) -> Traced:
        return apply(operation, compute, lifted(self))

    return run


def _of_real(operation: str, compute: Callable[[Array], Array]) -> Callable[[Operand], Traced]:
    """Of numbers that become real first, if they are not."""

    def run(self: Operand) -> Traced:
        return apply(operation, compute, real(self))

    return run


def _compared(
    operation: str, compute: Callable[[Any, Any], Any]
) -> Callable[[Operand, Operand], Traced | bool]:
    def run(self: Operand, other: Operand) -> Traced | bool:
        if not isinstance(self, Traced) and not isinstance(other, Traced):
            return bool(compute(self, other))
        return binary(operation, compute, self, other)

    return run


def _plain(*operands: Any) -> bool:
    """Nothing of it is an array: numbers and lists, which the program computes with itself."""
    return not any(isinstance(each, Traced) for each in operands)


def _erf(array: Array) -> Array:
    found = [math.erf(each) for each in array.astype(np.float64).ravel().tolist()]
    return np.array(found, array.dtype).reshape(array.shape)


exp, log, sqrt = _of_real("Exp", np.exp), _of_real("Log", np.log), _of_real("Sqrt", np.sqrt)
tanh, erf = _of_real("Tanh", np.tanh), _of_real("Erf", _erf)
reciprocal = _of_real("Reciprocal", np.reciprocal)
absolute, floor = _unary("Abs", np.abs), _unary("Floor", np.floor)
eq, gt = _compared("Equal", operator.eq), _compared("Greater", operator.gt)
logical_not = _unary("Not", np.logical_not)


def sigmoid(self: Operand) -> Traced:
    """1 / (1 + exp(-x))."""
    return apply("Sigmoid", lambda x: 1 / (1 + np.exp(-x)), real(self))


def add(self: Any, other: Any, alpha: float = 1) -> Any:
    """The sum; of lists, one after the other."""
    if _plain(self, other):
        return self + other
    return binary("Add", np.add, self, other if alpha == 1 else mul(other, alpha))


def sub(self: Any, other: Any, alpha: float = 1) -> Any:
    """The difference."""
    if _plain(self, other):
        return self - other
    return binary("Sub", np.subtract, self, other if alpha == 1 else mul(other, alpha))


def rsub(self: Any, other: Any, alpha: float = 1) -> Any:
    """The difference the other way round."""
    return sub(other, self, alpha)


def mul(self: Any, other: Any) -> Any:
    """The product."""
    if _plain(self, other):
        return self * other
    return binary("Mul", np.multiply, self, other)


def div(self: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """The quotient, real unless it is rounded."""
    if rounding_mode not in (None, "floor"):
        raise UnknownProgram(f"it divides and rounds by `{rounding_mode}`")
    if _plain(self, other):
        return self // other if rounding_mode else self / other
    quotient = binary("Div", np.divide, *map(real, promoted(self, other)))
    return floor(quotient) if rounding_mode else quotient


def floor_divide(self: Any, other: Any) -> Any:
    """The quotient, rounded down."""
    return div(self, other, "floor")


def remainder(self: Any, other: Any) -> Any:
    """What division leaves, with the sign of the divisor."""
    if _plain(self, other):
        return self % other
    return sub(self, mul(floor_divide(self, other), other))


def power(self: Any, exponent: Any) -> Any:
    """A power."""
    if _plain(self, exponent):
        return self**exponent
    return binary("Pow", np.power, self, exponent)


def neg(self: Any) -> Any:
    """With the other sign."""
    return -self if _plain(self) else apply("Neg", np.negative, self)


def rsqrt(self: Operand) -> Traced:
    """1 / sqrt(x)."""
    return reciprocal(sqrt(self))


def square(self: Operand) -> Traced:
    """X * x."""
    product: Traced = mul(self, self)
    return product


def ne(self: Any, other: Any) -> Any:
    """They differ."""
    found = eq(self, other)
    return not found if isinstance(found, bool) else logical_not(found)


def maximum(self: Any, other: Any) -> Any:
    """The larger one of two."""
    return max(self, other) if _plain(self, other) else binary("Max", np.maximum, self, other)


def minimum(self: Any, other: Any) -> Any:
    """The smaller one of two."""
    return min(self, other) if _plain(self, other) else binary("Min", np.minimum, self, other)


def clamp(self: Traced, min: Any = None, max: Any = None) -> Traced:  # as PyTorch calls them
    """Within bounds, of which one may be missing."""
    found: Traced = self if min is None else maximum(self, min)
    return found if max is None else minimum(found, max)


def logical_and(self: Operand, other: Operand) -> Traced:
    """Both are true."""
    return apply("And", np.logical_and, *(cast(lifted(each), np.bool_) for each in (self, other)))


def logical_or(self: Operand, other: Operand) -> Traced:
    """One of them is true."""
    return apply("Or", np.logical_or, *(cast(lifted(each), np.bool_) for each in (self, other)))


def where(condition: Traced, self: Operand, other: Operand) -> Traced:
    """Of two arrays, as a third says."""
    chosen = cast(condition, np.bool_)
    return apply("Where", np.where, chosen, *promoted(self, other))


def masked_fill(self: Traced, mask: Traced, value: Operand) -> Traced:
    """A number where a mask is true."""
    filled = cast(lifted(value), self.array.dtype)
    return apply("Where", np.where, cast(mask, np.bool_), filled, self)


def addcmul(self: Traced, tensor1: Traced, tensor2: Traced, value: float = 1) -> Traced:
    """A sum with a product."""
    found: Traced = add(self, mul(tensor1, tensor2), value)
    return found


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "__and__": logical_and,
    "__or__": logical_or,
    "abs": absolute,
    "add": add,
    "addcmul": addcmul,
    "bitwise_and": logical_and,
    "bitwise_not": logical_not,
    "bitwise_or": logical_or,
    "ceil": _unary("Ceil", np.ceil),
    "clamp": clamp,
    "clamp_max": lambda self, max: clamp(self, None, max),
    "clamp_min": lambda self, min: clamp(self, min),
    "clip": clamp,
    "cos": _of_real("Cos", np.cos),
    "div": div,
    "divide": div,
    "eq": eq,
    "erf": erf,
    "exp": exp,
    "expm1": lambda self: sub(exp(self), 1),
    "floor": floor,
    "floor_divide": floor_divide,
    "floordiv": floor_divide,
    "ge": _compared("GreaterOrEqual", operator.ge),
    "gt": gt,
    "le": _compared("LessOrEqual", operator.le),
    "log": log,
    "log1p": lambda self: log(add(real(self), 1)),
    "logical_and": logical_and,
    "logical_not": logical_not,
    "logical_or": logical_or,
    "lt": _compared("Less", operator.lt),
    "masked_fill": masked_fill,
    "maximum": maximum,
    "minimum": minimum,
    "mul": mul,
    "multiply": mul,
    "ne": ne,
    "neg": neg,
    "pow": power,
    "reciprocal": reciprocal,
    "remainder": remainder,
    "round": _unary("Round", np.round),
    "rsqrt": rsqrt,
    "rsub": rsub,
    "sigmoid": sigmoid,
    "sign": _unary("Sign", np.sign),
    "sin": _of_real("Sin", np.sin),
    "sqrt": sqrt,
    "square": square,
    "sub": sub,
    "subtract": sub,
    "tanh": tanh,
    "where": where,
}
"""By the names of PyTorch."""
