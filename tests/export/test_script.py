"""The kit as one file: whole, and without this server."""

import ast
import inspect
import sys
from pathlib import Path

import pytest

from policy_server.commands.export import export
from policy_server.commands.program import main
from policy_server.export import script
from policy_server.export.registry import FRAMEWORKS

ROOM = Path(script.__file__).parent
OF_OTHERS = {"numpy", "gymnasium"}
"""What a framework's file may import beside Python's own and the framework."""


def imported(text: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    return names


def constants(file: str) -> dict[str, ast.expr]:
    """What a framework's file says of its options, read without its framework."""
    tree = ast.parse((ROOM / f"{file}.py").read_text(encoding="utf-8"))
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_is_one_file_that_needs_nothing_of_this_server(framework: str) -> None:
    text = script.script_of(FRAMEWORKS[framework])
    compile(text, "export_policy.py", "exec")
    foreign = imported(text) - set(sys.stdlib_module_names) - OF_OTHERS
    assert foreign
    assert "policy_server" not in foreign
    defined = [
        node.name
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    assert {"export", "export_checkpoint", "write_folder", "run"} <= set(defined)
    assert len(defined) == len(set(defined))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_says_how_it_is_called(framework: str) -> None:
    text = ast.get_docstring(ast.parse(script.script_of(FRAMEWORKS[framework])))
    assert text is not None
    assert "python export_policy.py --" in text


def test_a_name_that_stands_for_two_things_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "command_line.py").write_text("def run(): pass\n")
    (tmp_path / "own.py").write_text("def run(): pass\n")
    monkeypatch.setattr(script, "ROOM", tmp_path)
    with pytest.raises(ValueError, match=r"run is defined in command_line\.py and in own\.py"):
        script.script_of("own")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_command_has_the_options_of_each_framework(framework: str) -> None:
    said = constants(FRAMEWORKS[framework])
    options, required = ast.literal_eval(said["OPTIONS"]), ast.literal_eval(said["REQUIRED"])
    assert set(options) <= set(inspect.signature(export).parameters)
    assert set(required) <= set(options)
    assert framework in str(inspect.getdoc(export))


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_command_prints_the_script(framework: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", framework, "--script"])
    assert capsys.readouterr().out == script.script_of(FRAMEWORKS[framework])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stable-baselines"], "do you mean stable-baselines3?"),
        (["dopamine"], "these are: stable-baselines3, "),
        (
            ["sb3-contrib", "--checkpoint", "model.zip"],
            "policy-server export sb3-contrib --script > export_policy.py",
        ),
    ],
)
def test_what_cannot_be_exported_here_ends_with_2_and_a_remedy(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["export", *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
