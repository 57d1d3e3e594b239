"""docs/export.md has a worked command for each framework, and its options are those of the kit."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from policy_server.export import command_line
from policy_server.export.registry import FRAMEWORKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/export.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^ *```text\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NEEDED = {"checkpoint", "env", "output"}


def commands() -> list[list[str]]:
    text = "".join(BLOCK.findall(PAGE)).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines()]


def worked() -> dict[str, list[list[str]]]:
    """Commands of the kit's file, by the framework whose file was printed before."""
    found: dict[str, list[list[str]]] = {}
    framework = ""
    for words in commands():
        if words[:2] == ["policy-server", "export"]:
            framework = words[2]
            assert words[3:] == ["--script", ">", "export_policy.py"]
        elif words[:2] == ["python", "export_policy.py"]:
            found.setdefault(framework, []).append(words[2:])
    return found


def test_each_framework_has_a_worked_command() -> None:
    assert set(worked()) == set(FRAMEWORKS)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_worked_commands_have_options_of_the_kit(framework: str) -> None:
    room = Path(command_line.__file__).parent
    tree = ast.parse((room / f"{FRAMEWORKS[framework]}.py").read_text(encoding="utf-8"))
    said = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("OPTIONS", "REQUIRED")
    }
    for words in worked()[framework]:
        given = {
            word[2:].partition("=")[0].replace("-", "_") for word in words if word.startswith("--")
        }
        assert given <= {*command_line.COMMON, *said["OPTIONS"]}
        assert given >= {*NEEDED, *said["REQUIRED"]}


def test_every_option_of_all_frameworks_is_documented() -> None:
    for name in command_line.COMMON:
        assert f"--{name.replace('_', '-')}" in PAGE
