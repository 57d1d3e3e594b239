"""Expressions of TorchScript, and what they stand for."""

import ast
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from policy_server.proving.torch_programs.operators import run_operator
from policy_server.proving.torch_programs.torchscript_functions import call_function
from policy_server.proving.torch_programs.traced import UnknownProgram, known

NUMBERS = {"inf": math.inf, "nan": math.nan}
CONSTANTS, OWN = "CONSTANTS", "__torch__"
TYPED = ("annotate", "unchecked_cast")
"""Functions of a type and a value, which give the value."""
Names = dict[str, Any]
"""Values by the names that code has for them."""


class Reference(str):
    """A function of the program that code gives a shorter name, by its dotted one."""


@dataclass
class ScriptObject:
    """A module of a program.

    Attributes:
        kind: The dotted name of its class.
        attributes: Its weights, settings, and modules.
    """

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)


class Evaluator(ABC):
    """Says what expressions stand for.

    Args:
        constants: What code calls `CONSTANTS.c0` and so on.
    """

    def __init__(self, constants: Sequence[Any]) -> None:
        self._constants = constants

    @abstractmethod
    def call_own(self, dotted: str, arguments: list[Any], named: Names) -> tuple[Any] | None:
        """What a function of the program returns, in a tuple; None if it has none of this name."""

    def value(self, each: ast.expr, names: Names) -> Any:
        """What an expression stands for; raises UnknownProgram for those that are not known."""
        of_its_kind = getattr(self, f"_{type(each).__name__.lower()}", None)
        if of_its_kind is None:
            raise UnknownProgram(f"its code has an expression ({type(each).__name__})")
        return of_its_kind(each, names)

    def truth(self, test: ast.expr, names: Names) -> bool:
        """Whether it is so, for all observations."""
        return bool(known(self.value(test, names), "a decision of its code"))

    def _constant(self, each: ast.Constant, _: Names) -> Any:
        return each.value

    def _name(self, each: ast.Name, names: Names) -> Any:
        if each.id in names:
            return names[each.id]
        if each.id not in NUMBERS:
            raise UnknownProgram(f"its code uses `{each.id[:100]}` before it is there")
        return NUMBERS[each.id]

    def _attribute(self, each: ast.Attribute, names: Names) -> Any:
        if isinstance(each.value, ast.Name) and each.value.id == CONSTANTS:
            return self._numbered(each.attr)
        dotted = _dotted(each, names)
        if dotted is not None and dotted.startswith(f"{OWN}."):
            return Reference(dotted)
        return self._attribute_of(self.value(each.value, names), each.attr)

    def _numbered(self, name: str) -> Any:
        place = name.removeprefix("c")
        if not place.isdecimal() or len(place) > len(str(len(self._constants))):
            place = str(len(self._constants))
        if int(place) >= len(self._constants):
            raise UnknownProgram(f"its code names a constant `{name[:100]}` that is not there")
        return self._constants[int(place)]

    def _attribute_of(self, owner: Any, name: str) -> Any:
        if name == "training":
            return False  # as it decides, whatever state it was saved in
        if not isinstance(owner, ScriptObject) or name not in owner.attributes:
            raise UnknownProgram(f"its code asks for `{name[:100]}`, which is not there")
        return owner.attributes[name]

    def _list(self, each: ast.List, names: Names) -> list[Any]:
        return [self.value(item, names) for item in each.elts]

    def _tuple(self, each: ast.Tuple, names: Names) -> tuple[Any, ...]:
        return tuple(self.value(item, names) for item in each.elts)

    def _dict(self, each: ast.Dict, names: Names) -> dict[str, Any]:
        keys = [None if key is None else self.value(key, names) for key in each.keys]
        return {
            str(key): self.value(item, names) for key, item in zip(keys, each.values, strict=True)
        }

    def _subscript(self, each: ast.Subscript, names: Names) -> Any:
        owner, place = self.value(each.value, names), self.value(each.slice, names)
        try:
            return listed(owner)[known(place, "a place")]
        except (LookupError, TypeError) as error:
            raise UnknownProgram("its code asks for what a list has not") from error

    def _unaryop(self, each: ast.UnaryOp, names: Names) -> Any:
        if isinstance(each.op, ast.Not):
            return not self.truth(each.operand, names)
        if not isinstance(each.op, ast.USub):
            raise UnknownProgram(f"its code computes by `{type(each.op).__name__}`")
        return run_operator("neg", [self.value(each.operand, names)], {})

    def _boolop(self, each: ast.BoolOp, names: Names) -> bool:
        decides = any if isinstance(each.op, ast.Or) else all
        return decides(self.truth(operand, names) for operand in each.values)

    def _ifexp(self, each: ast.IfExp, names: Names) -> Any:
        return self.value(each.body if self.truth(each.test, names) else each.orelse, names)

    def _compare(self, each: ast.Compare, names: Names) -> bool:
        (operator, *others), (right, *_) = each.ops, each.comparators
        if others or not isinstance(operator, ast.Is | ast.IsNot):
            raise UnknownProgram(f"its code compares by `{type(operator).__name__}`")
        same = self.value(each.left, names) is self.value(right, names)
        return same == isinstance(operator, ast.Is)

    def _call(self, each: ast.Call, names: Names) -> Any:
        dotted = _dotted(each.func, names)
        if dotted in TYPED:
            return self.value(each.args[-1], names)
        if dotted == "uninitialized":
            return None
        arguments = [self.value(argument, names) for argument in each.args]
        named = {str(word.arg): self.value(word.value, names) for word in each.keywords}
        if dotted == "getattr":
            return self._attribute_of(arguments[0], str(arguments[1]))
        if dotted is None:
            dotted, arguments = self._method(each.func, arguments, names)
        returned = self.call_own(dotted, arguments, named)
        return call_function(dotted, arguments, named) if returned is None else returned[0]

    def _method(
        self, function: ast.expr, arguments: list[Any], names: Names
    ) -> tuple[str, list[Any]]:
        """The dotted name of a method, and its arguments after the module that it belongs to."""
        owner = self.value(function.value, names) if isinstance(function, ast.Attribute) else None
        if not isinstance(function, ast.Attribute) or not isinstance(owner, ScriptObject):
            raise UnknownProgram("its code calls a method of what is no module")
        return f"{owner.kind}.{function.attr}", [owner, *arguments]


def listed(value: Any) -> Sequence[Any] | Mapping[str, Any]:
    """A list, tuple, range, or dictionary; raises UnknownProgram for anything else."""
    if not isinstance(value, list | tuple | range | dict):
        raise UnknownProgram("its code goes through what is no list")
    return value


def _dotted(function: ast.expr, names: Names) -> str | None:
    """The name of a function; None where it is a method of a value."""
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return None
    if function.id in names:
        known_as = names[function.id]
        return known_as if isinstance(known_as, Reference) and not parts else None
    return ".".join([function.id, *reversed(parts)])
