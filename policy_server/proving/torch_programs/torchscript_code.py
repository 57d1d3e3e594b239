"""The code of TorchScript, read as a tree and followed step by step; nothing of it is executed."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from policy_server.proving.torch_programs.torchscript_values import (
    Evaluator,
    Names,
    ScriptObject,
    listed,
)
from policy_server.proving.torch_programs.traced import (
    KeptChanged,
    Mismatch,
    Traced,
    UnknownProgram,
)

MOST_STEPS, MOST_CALLS = 200_000, 100
FORWARD = "forward"
BUFFERS = "__buffers__"
"""What a class calls the names of the arrays that are no parameters."""
Returned = tuple[Any] | None
"""What a block of code returns, in a tuple; None where it goes on behind it."""


class ScriptProgram(Evaluator):
    """A TorchScript program.

    Args:
        sources: Texts of its code by the dotted names of their modules.
        root: The module that is the network.
        constants: What its code calls `CONSTANTS.c0` and so on.

    Raises:
        UnknownProgram: Its code is not what TorchScript writes.
    """

    def __init__(
        self, sources: Mapping[str, str], root: ScriptObject, constants: Sequence[Any]
    ) -> None:
        super().__init__(constants)
        self._functions: dict[str, ast.FunctionDef] = {}
        self._buffers: dict[str, list[str]] = {}
        self._root = root
        self._steps = self._depth = 0
        for module, text in sources.items():
            try:
                self._collect(module, ast.parse(text).body)
            except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
                raise UnknownProgram(f"its code `{module[:100]}` cannot be read") from error
        if self._forward not in self._functions:
            raise UnknownProgram(f"its code has no `{self._forward[:200]}`")

    @property
    def _forward(self) -> str:
        return f"{self._root.kind}.{FORWARD}"

    def _collect(self, place: str, body: Sequence[ast.stmt]) -> None:
        for each in body:
            if isinstance(each, ast.FunctionDef):
                self._functions[f"{place}.{each.name}"] = each
            elif isinstance(each, ast.ClassDef):
                self._collect(f"{place}.{each.name}", each.body)
            elif isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == BUFFERS:
                names = ast.literal_eval(each.value)
                self._buffers[place] = list(map(str, names)) if isinstance(names, list) else []

    @property
    def inputs(self) -> list[str]:
        """Names of what the network takes."""
        return [each.arg for each in self._functions[self._forward].args.args[1:]]

    def buffers(self) -> dict[str, tuple[Names, str]]:
        """The arrays that modules may change, by dotted names: whose attributes, and which."""
        found: dict[str, tuple[Names, str]] = {}
        waiting, seen = [("", self._root)], set()
        while waiting:
            place, module = waiting.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            for name, each in module.attributes.items():
                if isinstance(each, ScriptObject):
                    waiting.append((f"{place}{name}.", each))
                elif isinstance(each, Traced) and name in self._buffers.get(module.kind, ()):
                    found[f"{place}{name}"] = (module.attributes, name)
        return found

    def run(self, inputs: Sequence[Traced]) -> Any:
        """What the network returns for the arrays of its inputs."""
        self._steps = self._depth = 0
        try:
            returned = self.call_own(self._forward, [self._root, *inputs], {})
        except RecursionError as error:
            raise UnknownProgram("its code is nested too deeply") from error
        return None if returned is None else returned[0]

    def call_own(self, dotted: str, arguments: list[Any], named: Names) -> Returned:
        """What a function of the program returns."""
        function = self._functions.get(dotted)
        if function is None:
            return None
        names = [each.arg for each in function.args.args]
        values = {**dict(zip(names, arguments, strict=False)), **named}
        defaults = function.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            if name not in values:
                values[name] = self.value(default, {})
        if len(arguments) > len(names) or set(values) != set(names):
            raise UnknownProgram(f"its code calls `{dotted[:100]}` with other arguments")
        self._depth += 1
        if self._depth > MOST_CALLS:
            raise UnknownProgram("its code calls itself over and over")
        returned = self._block(function.body, values)
        self._depth -= 1
        return returned or (None,)

    def _block(self, body: Sequence[ast.stmt], values: Names) -> Returned:
        for each in body:
            self._count()
            follow = getattr(self, f"_follow_{type(each).__name__.lower()}", None)
            if follow is None:
                raise UnknownProgram(f"its code has a statement ({type(each).__name__})")
            returned: Returned = follow(each, values)
            if returned is not None:
                return returned
        return None

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise UnknownProgram(f"its code takes more than {MOST_STEPS} steps")

    def _follow_return(self, each: ast.Return, values: Names) -> Returned:
        return (None if each.value is None else self.value(each.value, values),)

    def _follow_assign(self, each: ast.Assign, values: Names) -> None:
        value = self.value(each.value, values)
        for target in each.targets:
            self._assign(target, value, values)

    def _follow_annassign(self, each: ast.AnnAssign, values: Names) -> None:
        if each.value is not None:
            self._assign(each.target, self.value(each.value, values), values)

    def _follow_expr(self, each: ast.Expr, values: Names) -> None:
        self.value(each.value, values)

    def _follow_pass(self, each: ast.Pass, values: Names) -> None:
        """Nothing is done."""

    def _follow_raise(self, each: ast.Raise, values: Names) -> None:
        raise Mismatch("its code raises an error for such observations")

    def _follow_if(self, each: ast.If, values: Names) -> Returned:
        return self._block(each.body if self.truth(each.test, values) else each.orelse, values)

    def _follow_for(self, each: ast.For, values: Names) -> Returned:
        for item in listed(self.value(each.iter, values)):
            self._count()
            self._assign(each.target, item, values)
            if (returned := self._block(each.body, values)) is not None:
                return returned
        return None

    def _follow_while(self, each: ast.While, values: Names) -> Returned:
        while self.truth(each.test, values):
            self._count()
            if (returned := self._block(each.body, values)) is not None:
                return returned
        return None

    def _assign(self, target: ast.expr, value: Any, values: Names) -> None:
        if isinstance(target, ast.Name):
            values[target.id] = value
        elif isinstance(target, ast.Tuple):
            items = list(listed(value))
            # A trailing comma, as after the only target, takes the first of several.
            if len(items) < len(target.elts):
                raise UnknownProgram("its code takes a list apart that is shorter")
            for one, item in zip(target.elts, items, strict=False):
                self._assign(one, item, values)
        elif isinstance(target, ast.Attribute):
            self._keep(self.value(target.value, values), target.attr, value)
        else:
            raise UnknownProgram("its code assigns to a place in a list")

    def _keep(self, owner: Any, name: str, value: Any) -> None:
        """Give a module's buffer another array; raises UnknownProgram for anything else."""
        kept = owner.attributes.get(name) if isinstance(owner, ScriptObject) else None
        if not isinstance(kept, Traced) or not isinstance(value, Traced):
            raise UnknownProgram(
                f"it keeps `{name[:100]}` from one call to the next, and that is no buffer, which "
                "is carried as memory"
            )
        if kept.kept:
            raise KeptChanged([kept])
        owner.attributes[name] = value
