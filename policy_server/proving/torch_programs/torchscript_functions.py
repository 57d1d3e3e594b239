"""Functions that the code of TorchScript calls by their names."""

from collections.abc import Callable, Mapping
from typing import Any

from policy_server.proving.torch_programs.operators import run_operator, type_numbered
from policy_server.proving.torch_programs.traced import Mismatch, UnknownProgram, known


def call_function(dotted: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    """What a function makes of its arguments.

    Args:
        dotted: Its name: `torch.linear`, `int`, `ops.prim.NumToTensor`.
        arguments: Without a name.
        named: With one.

    Raises:
        UnknownProgram: It is not read.
    """
    if dotted in BUILT_IN:
        return BUILT_IN[dotted](*arguments)
    space, _, name = dotted.rpartition(".")
    if space == "ops.prim" and name in PRIMITIVES:
        return PRIMITIVES[name](arguments)
    if space not in ("torch", "ops.aten"):
        raise UnknownProgram(f"its operator `{dotted[:100]}` is not read")
    if name == "append" and isinstance(arguments[0], list):
        return arguments[0].append(arguments[1])
    if name == "to":
        arguments = [arguments[0], *map(type_numbered, arguments[1:])]
    if "dtype" in named:
        named["dtype"] = type_numbered(named["dtype"])
    return run_operator(name, arguments, named)


def _fails(_: Any) -> None:
    raise Mismatch("its code raises an error for such observations")


BUILT_IN: Mapping[str, Callable[..., Any]] = {
    "int": lambda value: value if isinstance(value, int) else int(known(value, "its code")),
    "float": lambda value: float(known(value, "its code")),
    "bool": lambda value: bool(known(value, "a decision of its code")),
    "torch.__contains__": lambda values, value: value in values,
    "torch.__is__": lambda one, other: one is other,
    "torch.__isnot__": lambda one, other: one is not other,
    "torch.__not__": lambda value: not known(value, "a decision of its code"),
    "torch.format": lambda text, *_: text,
    "torch.list": list,
    "range": lambda *ends: range(*(int(known(each, "its code")) for each in ends)),
}
PRIMITIVES: Mapping[str, Callable[[list[Any]], Any]] = {
    "NumToTensor": lambda given: given[0],
    "RaiseException": _fails,
    "data": lambda given: given[0],
    "dtype": lambda given: given[0].array.dtype,
    "device": lambda given: None,
    "layout": lambda given: None,
    "min": lambda given: min(*given) if len(given) > 1 else min(given[0]),
    "max": lambda given: max(*given) if len(given) > 1 else max(given[0]),
}
