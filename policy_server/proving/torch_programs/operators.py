"""All operators of PyTorch that are read, and why some are not."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from policy_server.proving.torch_programs import (
    activations,
    arithmetic,
    enlarging,
    layers,
    recurrent,
    shapes,
    sums,
)
from policy_server.proving.torch_programs.traced import Mismatch, Traced, UnknownProgram

OPERATORS: Mapping[str, Callable[..., Any]] = {
    **arithmetic.OPERATORS,
    **activations.OPERATORS,
    **shapes.OPERATORS,
    **enlarging.OPERATORS,
    **layers.OPERATORS,
    **recurrent.OPERATORS,
    **sums.OPERATORS,
}
"""By the names of PyTorch."""
IN_PLACE = "_"
"""Ends the name of an operator that changes the array it is given."""
DRAWING = (
    *("bernoulli", "multinomial", "normal", "rand", "rand_like", "randn", "randn_like"),
    *("randint", "uniform", "exponential", "poisson", "native_dropout", "rrelu"),
)
DROPOUT = ("dropout", "feature_dropout", "alpha_dropout")
CHECKS = (
    "_assert_tensor_metadata",
    "_assert_async",
    "_assert_scalar",
    "warn",
    "sym_constrain_range",
)
"""Operators that look at numbers and change nothing."""
VIEWS = (
    *("alias", "chunk", "contiguous", "detach", "expand", "expand_as", "flatten", "permute"),
    *("reshape", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "to"),
    *("transpose", "type_as", "unbind", "unsqueeze", "view", "view_as", "_to_copy"),
)
"""Operators whose results may have the very numbers of what they are given."""
TYPES: Sequence[str | None] = (
    *("u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"),
    *(None, None, None, "?"),
)
"""Types of arrays by PyTorch's numbers for them."""


def run_operator(name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """What an operator makes of its arguments.

    Args:
        name: As PyTorch calls it: `linear`, `relu_`.
        arguments: In the order of its schema.
        named: Those that are given by name.

    Raises:
        UnknownProgram: It is not read, or not with these arguments.
    """
    plain = name if name.endswith("__") else name.removesuffix(IN_PLACE)
    if plain in CHECKS or plain.startswith("sym_constrain_range"):
        return None
    if plain in DROPOUT:
        return _dropout(*arguments, **named)
    if name == "copy_":
        return _copied_to(*arguments[:2])
    run = OPERATORS.get(name) or OPERATORS.get(plain)
    if run is None:
        raise UnknownProgram(unread(plain))
    try:
        inspect.signature(run).bind(*arguments, **named)
        found = run(*arguments, **named)
    except UnknownProgram:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Mismatch(f"its operator `{name}` cannot be computed ({reason[:200]})") from error
    if name not in OPERATORS:
        return _in_place(arguments, found)
    if name in VIEWS and isinstance(arguments[0], Traced):
        for view in found if isinstance(found, list) else [found]:
            arguments[0].share(view)
    return found


def _copied_to(target: Any, source: Any) -> Any:
    try:
        found = shapes.to(enlarging.expand_as(arrayed(source), target), target)
    except UnknownProgram:
        raise
    except (AttributeError, ValueError) as error:
        raise Mismatch(f"it copies one array into another that is smaller ({error})") from error
    return _in_place([target], found)


def arrayed(value: Any) -> Traced:
    """A value that an operator takes as an array."""
    return value if isinstance(value, Traced) else Traced(np.asarray(value))


def type_numbered(number: Any) -> Any:
    """The type that PyTorch has a number for."""
    if isinstance(number, bool) or not isinstance(number, int):
        return number
    kind = TYPES[number] if 0 <= number < len(TYPES) else None
    if kind is None:
        raise UnknownProgram(f"it computes in a type that is not read (number {number})")
    return np.dtype(kind)


def _in_place(arguments: Sequence[Any], found: Any) -> Any:
    target = arguments[0] if arguments else None
    if not isinstance(target, Traced) or not isinstance(found, Traced):
        raise UnknownProgram("it changes something else than an array")
    return target.become(found)


def _dropout(input: Traced, p: float = 0.5, train: bool = False, *_: Any, **__: Any) -> Traced:
    if train and p:
        raise UnknownProgram(
            "it leaves out numbers at random (`dropout`): save it after `network.eval()`"
        )
    return input


def unread(name: str) -> str:
    """Why an operator is not read."""
    if name in DRAWING:
        return (
            f"it draws numbers at random (`{name}`): what an action is drawn from is wanted, such "
            "as its logits, or mean and log standard deviation"
        )
    return f"its operator `{name[:100]}` is not read"
