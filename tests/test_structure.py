"""Who may import whom, and how long files and functions may be."""

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from policy_server.policy.families.registry import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "policy_server"
MAY_IMPORT = {
    "faults": set(),
    "errors": {"faults"},
    "files": set(),
    "resources": set(),
    "logs": set(),
    "contract": {"errors", "files", "resources"},
    "policy": {"errors", "contract"},
    "version": {"errors", "contract", "policy"},
    "sandbox": {"errors", "files", "contract", "policy"},
    "proving": {"errors", "resources", "contract", "policy", "version", "sandbox"},
    "export": set(),
    "store": {"errors", "files", "contract"},
    "access": {"errors", "files", "contract"},
    "clients": {"errors", "files", "contract"},
    "explaining": {"errors", "contract"},
    "frontend": {"errors", "contract", "explaining"},
    "metrics": {"files"},
    "serving": {
        *("errors", "resources", "contract", "policy"),
        *("version", "sandbox", "proving", "store"),
    },
    "reporting": {
        *("errors", "contract", "explaining", "policy", "version", "proving", "store", "serving"),
    },
    "traces": {"errors", "logs", "serving"},
    "web": {
        *("errors", "resources", "logs", "contract", "policy", "version", "access", "metrics"),
        *("serving", "traces", "clients"),
    },
    "app": {
        *("errors", "resources", "logs", "contract", "policy", "sandbox", "proving", "store"),
        *("access", "clients", "metrics", "serving", "traces", "web"),
    },
    "fake": {
        *("errors", "resources", "logs", "contract", "policy", "proving", "store", "serving"),
        *("web", "app"),
    },
    "rpc": {"errors", "contract"},
    "commands": {
        *("errors", "files", "rpc", "export", "resources", "contract", "proving", "store"),
        *("access", "clients", "serving", "web", "app", "fake", "explaining", "reporting"),
    },
}
HEAVY = ("tensorflow", "onnxruntime", "onnx", "tf2onnx", "torch", "ray")
SERVED = ("tensorflow", "onnxruntime")
ELSEWHERE = "policy_server/export/"
"""Runs where policies were trained, and has the frameworks of that place."""
LAZY = {"tensorflow", "onnx", "tf2onnx", "torch", "ray"}
PLUG_INS = {
    "contract/fields": {
        *("array", "bounded", "controls", "enumerated", "field", "keywords"),
        *("decoded", "encoded_array", "png"),
    },
    "frontend/renderers": {"renderer", "head", "dimension", "measured", "action_map"},
    "policy/engines": {
        *("address", "engine", "http_client", "on_device", "recorded", "remote"),
        *("served_model", "servers"),
    },
    "policy/families": {
        *("family", "numbered", "real", "softmax", "recognition"),
        *("comparison", "normal", "paired", "even", "terms"),
    },
    "proving/readers": {"reader"},
    "web/protocols": {"protocol"},
    "store": {
        *("store", "builds", "content", "copying", "disk", "episodes", "formats", "leftovers"),
        *("manifest", "policies", "privacy", "refusals", "served", "uses", "version_times"),
        "workers",
        *("archive", "bucket", "elsewhere", "incoming", "outage", "shared_policies"),
        *("shared_state", "turn"),
    },
}
"""Rooms of plug-ins, and the files there that are none: what all of them share."""
COPIES = {"policy_server/store/object_storage.py": {"local_folder"}}
"""Plug-ins that have one of another kind in them: what is elsewhere is served from a copy."""
FENCE = "web/adapters"
FENCED = {"uvicorn", "uvicorn_worker", "gunicorn", "httptools", "connexion"}
"""Libraries whose insides are known in one folder only."""
DOCUMENTED = {"connexion", "connexion.FlaskApp", "uvicorn", "httptools"}
DOCUMENTED_MODULES = {
    "connexion.exceptions",
    "connexion.lifecycle",
    "connexion.middleware",
    "connexion.options",
    "connexion.resolver",
}
"""What of them may be imported elsewhere: names, and all that is in a module."""
MAY_ASK = ("policy/families", "contract/actions.py", "frontend/renderers", "export/reading.py")
"""Where it is asked which family or which kind of action there is; all others call what it does.

The export kit runs where the families are not.
"""
KIND_WORDS = {"family", "numbered", "discrete", "continuous"}
"""What such a thing would be called."""
OF_A_KIND = re.compile(r"\bKind\.[A-Z]+$|\b(family|actions|distribution|network|space)\.kind$")
LEFT_WORDS = re.compile(r"\b(whoever|departures?|lingering|suspicions?)\b", re.IGNORECASE)
"""For which CONTRIBUTING has the field's own."""
MAX_LINES, MAX_TEST_LINES, MAX_FUNCTION_LINES = 300, 450, 45
NOT_OURS = {"instance", "build", "dist", "node_modules"}


def sources() -> list[Path]:
    """The project's own Python: neither environments and caches, nor what the server keeps."""
    return [path for path in sorted(ROOT.rglob("*.py")) if _is_ours(path.relative_to(ROOT))]


def _is_ours(path: Path) -> bool:
    top, *_ = path.parts
    return top not in NOT_OURS and not any(part.startswith((".", "__")) for part in path.parts[:-1])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(node: ast.AST) -> tuple[str, ...]:
    """Dotted names of all that a piece of code imports, wherever it does so."""
    names: list[str] = []
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            names += (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, "imports are absolute"
            names += (f"{each.module}.{alias.name}" for alias in each.names)
    return tuple(names)


def fenced(node: ast.AST) -> set[str]:
    return {name for name in imports(node) if name.split(".")[0] in FENCED}


def eager_imports(module: ast.Module) -> set[str]:
    """Names of packages that loading a module loads: imports outside of its functions."""
    lazy = {
        id(inner)
        for outer in ast.walk(module)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    eager = [each for each in ast.walk(module) if id(each) not in lazy]
    return {
        name.split(".")[0]
        for each in eager
        if isinstance(each, ast.Import | ast.ImportFrom)
        for name in imports(each)
    }


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def package_files() -> list[Path]:
    return [path for path in sources() if path.is_relative_to(ROOT / PACKAGE)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_every(files: Callable[[], list[Path]]) -> Callable[[Callable[[Path], None]], object]:
    """Makes one test of a check of each file: it says all that are wrong.

    A test for each would be thousands, and take ten times as long.
    """

    def decorate(check: Callable[[Path], None]) -> object:
        def test() -> None:
            wrong = []
            for path in files():
                try:
                    check(path)
                except AssertionError as error:
                    wrong.append(f"{named(path)}: {str(error).splitlines()[0]}")
            assert not wrong, "\n".join(wrong)

        return test

    return decorate


def test_every_room_is_known_here() -> None:
    assert {room_of(path) for path in package_files()} == {*MAY_IMPORT, "__init__"}


def test_imports_of_rooms_point_one_way() -> None:
    order = list(MAY_IMPORT)
    assert all(
        order.index(other) < order.index(name) for name in order for other in MAY_IMPORT[name]
    )


@in_every(package_files)
def test_a_room_imports_what_lies_below_it_only(path: Path) -> None:
    room = room_of(path)
    wrong = {
        name
        for name in imports(tree(path))
        if name.split(".")[0] == PACKAGE
        and name.split(".")[1] not in MAY_IMPORT.get(room, set()) | {room}
    }
    assert wrong == set()


@in_every(package_files)
def test_words_that_the_field_does_not_use_are_not_used(path: Path) -> None:
    assert LEFT_WORDS.search(path.read_text(encoding="utf-8")) is None


@in_every(package_files)
def test_the_package_never_imports_a_top_level_file(path: Path) -> None:
    top_level = {file.stem for file in ROOT.glob("*.py")} | {"examples", "tests", "benchmarks"}
    assert "app" in top_level
    assert {name.split(".")[0] for name in imports(tree(path))} & top_level == set()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(tree: ast.Module, modules: Collection[str]) -> set[str]:
    """Which of these modules one imports, in functions too, but not for its annotations alone."""
    idle = {
        id(inner)
        for each in ast.walk(tree)
        if isinstance(each, ast.If) and "TYPE_CHECKING" in ast.unparse(each.test)
        for inner in ast.walk(each)
    }
    nodes = [each for each in ast.walk(tree) if isinstance(each, ast.Import | ast.ImportFrom)]
    found = set()
    for name in (name for node in nodes if id(node) not in idle for name in imports(node)):
        while name and name not in modules:
            name = name.rpartition(".")[0]
        found.add(name)
    return found - {""}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where none do."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {module_of(path): path for path in package_files()}
    graph = {
        name: imported_modules(tree(path), modules) - {name, PACKAGE}
        for name, path in modules.items()
    }
    assert sum(map(len, graph.values())) > 100
    assert circle(graph) == []


@pytest.mark.parametrize("room", PLUG_INS)
def test_plug_ins_are_imported_by_their_registry_alone(room: str) -> None:
    folder = ROOT / PACKAGE / room
    plug_ins = {path.stem for path in folder.glob("*.py")} - {
        "__init__",
        "registry",
        *PLUG_INS[room],
    }
    assert plug_ins
    prefix = ".".join([PACKAGE, *Path(room).parts])
    modules = tuple(f"{prefix}.{name}" for name in plug_ins)
    wrong = [
        named(path)
        for path in package_files()
        if path != folder / "registry.py"
        and any(
            f"{name}.".startswith(f"{module}.")
            for name in imports(tree(path))
            for module in modules
            if module.rpartition(".")[2] not in COPIES.get(named(path), set())
        )
    ]
    assert wrong == []


def test_insides_of_the_libraries_that_serve_are_known_behind_the_fence_alone() -> None:
    fence = ROOT / PACKAGE / FENCE
    inside = {path for path in package_files() if path.is_relative_to(fence)}
    used = {path: fenced(tree(path)) for path in package_files()}
    assert {name.split(".")[0] for path in inside for name in used[path]} >= FENCED - {"gunicorn"}
    outside = {
        (named(path), name)
        for path in used.keys() - inside
        for name in used[path]
        if name not in DOCUMENTED and name.rpartition(".")[0] not in DOCUMENTED_MODULES
    }
    assert outside == set()


def asked(node: ast.AST) -> Iterator[ast.expr]:
    """Every expression on which it depends what a piece of code does."""
    for each in ast.walk(node):
        if isinstance(each, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield each.test
        elif isinstance(each, ast.comprehension):
            yield from each.ifs
        elif isinstance(each, ast.Compare):
            yield from (each.left, *each.comparators)
        elif isinstance(each, ast.BoolOp):
            yield from each.values
        elif isinstance(each, ast.UnaryOp) and isinstance(each.op, ast.Not):
            yield each.operand
        elif isinstance(each, ast.Match):
            yield each.subject
        elif isinstance(each, ast.Subscript) and not isinstance(each.slice, ast.Constant):
            yield from () if ast.unparse(each.value) == "FAMILIES" else (each.slice,)


def questions_of_kind(node: ast.AST, families: set[str]) -> set[str]:
    """Code that asks which family or kind of action it has before it.

    Args:
        node: The code.
        families: Names of families, and of the classes that have them.
    """
    found = {
        ast.unparse(each)
        for each in asked(node)
        if (isinstance(each, ast.Attribute) and each.attr in KIND_WORDS)
        or (isinstance(each, ast.Attribute) and OF_A_KIND.search(ast.unparse(each)))
        or (isinstance(each, ast.Name) and each.id in KIND_WORDS)
        or (isinstance(each, ast.Constant) and each.value in families)
    }
    return found | {
        ast.unparse(each)
        for each in ast.walk(node)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Name)
        and each.func.id in ("isinstance", "issubclass")
        and families & {name.id for name in ast.walk(each.args[1]) if isinstance(name, ast.Name)}
    }


def names_of_families() -> set[str]:
    bases = {"Family", "NumberedFamily", "RealFamily", "SoftmaxHeads", "PairedFamily", "Kind"}
    return {*FAMILIES, *(family.__name__ for family in FAMILIES.values()), *bases}


@in_every(package_files)
def test_no_other_room_asks_which_family_or_kind_of_action_there_is(path: Path) -> None:
    place = path.relative_to(ROOT / PACKAGE).as_posix()
    if not place.startswith(MAY_ASK):
        assert questions_of_kind(tree(path), names_of_families()) == set()


@pytest.mark.parametrize("module", HEAVY)
def test_heavy_packages_have_one_door(module: str) -> None:
    doors = [
        path
        for path in package_files()
        if not named(path).startswith(ELSEWHERE)
        and module in {name.split(".")[0] for name in imports(tree(path))}
    ]
    least = 1 if module in SERVED else 0
    assert least <= len(doors) <= 1, [named(path) for path in doors]


@in_every(package_files)
def test_what_serving_does_without_is_imported_lazily(path: Path) -> None:
    assert named(path).startswith(ELSEWHERE) or eager_imports(tree(path)) & LAZY == set()


@in_every(sources)
def test_files_and_functions_are_short_and_files_say_what_they_are(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    in_tests = path.is_relative_to(ROOT / "tests")
    assert length <= (MAX_TEST_LINES if in_tests else MAX_LINES)
    functions = [
        each
        for each in ast.walk(tree(path))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = {
        each.name: each.end_lineno - each.lineno + 1
        for each in functions
        if each.end_lineno is not None and each.end_lineno - each.lineno >= MAX_FUNCTION_LINES
    }
    assert long == {}
    assert in_tests or ast.get_docstring(tree(path)), "a module says what it is for"


def test_the_rules_find_what_breaks_them() -> None:
    code = (
        "import tensorflow\ndef f():\n    import onnx\n    from policy_server.web import limits\n"
    )
    module = ast.parse(code)
    assert set(imports(module)) == {"tensorflow", "onnx", "policy_server.web.limits"}
    assert eager_imports(module) == {"tensorflow"}


def test_the_rules_find_a_circle() -> None:
    files = {
        "p.a": "def f():\n    from p.b import g\n",
        "p.b": "import p.c.d\n",
        "p.c.d": "from p import a\n",
        "p.e": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import f\n",
    }
    graph = {name: imported_modules(ast.parse(code), files) for name, code in files.items()}
    assert graph == {"p.a": {"p.b"}, "p.b": {"p.c.d"}, "p.c.d": {"p.a"}, "p.e": set()}
    assert set(circle(graph)) == {"p.a", "p.b", "p.c.d"}
    assert circle({**graph, "p.c.d": {"p.e"}}) == []


@pytest.mark.parametrize(
    "code",
    [
        "if family.numbered: pass",
        "x = 1 if not discrete else 2",
        "if name == 'greedy': pass",
        "one_head = family in ('greedy', 'costs')",
        "isinstance(family, Categorical | Greedy)",
        "[each for each in rows if each.discrete and each.wide]",
        "match network.family:\n    case 'given': pass",
        "WORDS[actions.kind]",
        "if kind is Kind.REAL: pass",
    ],
)
def test_questions_of_kind_are_found_however_they_are_asked(code: str) -> None:
    assert questions_of_kind(ast.parse(code), names_of_families())


@pytest.mark.parametrize(
    "code", ["family.decide(row)", "Network(width, facts.family)", "f(discrete=discrete)"]
)
def test_passing_a_family_on_is_no_question(code: str) -> None:
    assert not questions_of_kind(ast.parse(code), names_of_families())
