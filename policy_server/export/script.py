"""Makes one file of a framework's file and what it imports of this room, to be run elsewhere."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOM = Path(__file__).parent
PACKAGE = "policy_server.export"
TAIL = """
if __name__ == "__main__":
    run(export_checkpoint, OPTIONS, REQUIRED, __doc__)
"""


def script_of(module: str) -> str:
    """One Python file that exports policies of a framework, wherever that is installed.

    Args:
        module: Name of the framework's file in this room, without its ending.
    """
    order: list[str] = []
    for name in ("command_line", module):
        _require(name, order)
    trees = {name: ast.parse(_source(name)) for name in order}
    _check_names(trees)
    bodies = [_body(_source(name), trees[name]) for name in order]
    text = ast.get_docstring(trees[module], clean=False) or ""
    parts = [f'"""{text}"""', "\n".join(_imports(trees.values())), *bodies, TAIL]
    return "\n\n".join(part.strip("\n") + "\n" for part in parts)


def _check_names(trees: Mapping[str, ast.Module]) -> None:
    """Raise where two files give a name to different things: in one file, one would be lost."""
    places: dict[str, str] = {}
    for file, tree in trees.items():
        for name in _defined(tree):
            if places.setdefault(name, file) != file:
                raise ValueError(f"{name} is defined in {places[name]}.py and in {file}.py.")


def _defined(tree: ast.Module) -> Iterator[str]:
    for each in tree.body:
        if isinstance(each, ast.FunctionDef | ast.ClassDef):
            yield each.name
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _source(name: str) -> str:
    return (ROOM / f"{name}.py").read_text(encoding="utf-8")


def _require(name: str, order: list[str]) -> None:
    """Append a file to the order, behind the files that it imports."""
    for node in ast.parse(_source(name)).body:
        if (needed := _ours(node)) is not None and needed not in order:
            _require(needed, order)
    order.append(name)


def _ours(node: ast.stmt) -> str | None:
    """Which file of this room a statement imports."""
    if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{PACKAGE}."):
        return str(node.module).removeprefix(f"{PACKAGE}.")
    return None


def _imports(trees: Iterable[ast.Module]) -> list[str]:
    """Lines that import what does not lie in this room, each module once."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for each in (node for tree in trees for node in tree.body if _ours(node) is None):
        if isinstance(each, ast.Import):
            plain.add(ast.unparse(each))
        elif isinstance(each, ast.ImportFrom):
            names.setdefault(str(each.module), set()).update(map(ast.unparse, each.names))
    chosen = [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
    return [*sorted(plain), *chosen]


def _body(source: str, tree: ast.Module) -> str:
    """A file without its docstring and its imports."""
    left_out = set()
    for number, node in enumerate(tree.body):
        docstring = number == 0 and isinstance(node, ast.Expr)
        if docstring or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = source.splitlines()
    return "\n".join(line for at, line in enumerate(lines, 1) if at not in left_out)
