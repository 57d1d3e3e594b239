"""What everybody expects of a command line: help, versions, misspelt words, Ctrl+C."""

import inspect
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from policy_server.commands.program import main
from policy_server.commands.registry import COMMANDS
from tests.support.server import ROOT, environment, run_command

LPOC = ROOT / "examples/lpoc"
SCREEN_LINES = 30
RARELY_NEEDED = {
    *("httpx", "requests", "onnx", "onnxruntime", "tensorflow", "connexion"),
    "policy_server.proving.assembly",
}


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_on_standard_output(tmp_path: Path, words: list[str]) -> None:
    done = run_command(*words, base_path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    assert listed[: len(COMMANDS)] == list(COMMANDS)
    assert len(done.stdout.splitlines()) < SCREEN_LINES


@dataclass
class Ended:
    """How the program ended, in the words of `subprocess`."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture
def run_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs the program in this process: for what is said before anything is done."""

    def run(*words: str | Path) -> Ended:
        code = 0
        try:
            main([str(word) for word in words], "python generate.py")
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Ended(code, *capsys.readouterr())

    monkeypatch.setenv("BASE_PATH", str(tmp_path))
    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_command_is_short_and_complete(
    tmp_path: Path, run_here: Run, command: str, flag: str
) -> None:
    done = run_here(command, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: python generate.py {command}")
    for name, parameter in inspect.signature(COMMANDS[command]).parameters.items():
        option = f"--{name.replace('_', '-')}"
        shown = {parameter.empty: name.upper(), True: f"--no-{name}"}
        assert f"  {shown.get(parameter.default, option)} " in done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) < 24
    assert all(len(line) <= 100 for line in lines)
    assert not list(tmp_path.iterdir())


def test_the_version_is_that_of_the_project(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "generate.py", "--version"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"policy-server {project['version']}\n")
    # What only some commands need takes longer to import than all the rest.
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported
    assert imported & RARELY_NEEDED == set()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pulbish", "x"], "pulbish is no command; did you mean publish?"),
        (
            ["quxx"],
            "quxx is no command; there are schema, describe, export, check, publish, pull, push, ",
        ),
        (["publish", LPOC, "--gloden", "x"], "--gloden: is no option; did you mean --golden?"),
        (["serve", "--threads=3"], "--threads: is no option; there are --host, --port, --workers"),
        (["example", "--all"], "--all: is no option"),
        (["publish"], "FOLDER: is missing."),
        (["schema", LPOC / "schema.yaml", "--title"], "--title: wants a value."),
        (["schema", LPOC / "schema.yaml", "--title", "--version=1"], "--title: wants a value."),
        (["schema", LPOC / "schema.yaml", "--clients=perhaps"], "is true or false, not 'perhaps'"),
        (["clean", "everything"], "everything: is one argument too many."),
        (["clean", "--yes", "--yes"], "--yes: is given twice."),
        (["serve", "--port", "http"], "--port: is a whole number, not 'http'."),
        (["serve", "--port", "70000"], "PORT: is a whole number from 0 to 65535, not '70000'"),
        (["serve", "--workers", "0"], "--workers: is a whole number from 1 on, not 0."),
        (["serve", "--workers", "many"], "--workers: is a whole number, not 'many'."),
    ],
)
def test_what_is_misspelt_ends_with_2_and_what_may_be_meant(
    tmp_path: Path, run_here: Run, words: list[str | Path], said: str
) -> None:
    done = run_here(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_fault_of_a_command_is_named_and_nothing_is_done(lpoc_instance: Path) -> None:
    done = run_command("clean", "--yes", "--force", "now", base_path=lpoc_instance)
    assert done.returncode == 2
    assert "--force: is no option" in done.stderr
    assert "now: is one argument too many." in done.stderr
    assert "See python generate.py clean --help." in done.stderr
    assert (lpoc_instance / "active").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--title", "A", "--version", "1.10", "--noclients"],
        ["--title=A", "--version=1.10", "--no-clients"],
        ["--no-clients", "-t", "A", "-v=1.10"],
        ["--clients", "False", "-title", "A", "-version", "1.10"],
    ],
)
def test_options_are_taken_in_every_usual_spelling_before_and_after(
    tmp_path: Path, options: list[str]
) -> None:
    for number, words in enumerate([[str(LPOC / "schema.yaml"), *options], [*options, "-"]]):
        text = (LPOC / "schema.yaml").read_text()
        done = run_command("schema", *words, base_path=tmp_path / str(number), text=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("A 1.10: observations of 12 fields")


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_command("schema", LPOC / "schema.yaml", base_path=tmp_path / "file/instance")
    assert done.returncode == 2
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr


def hear_control_c() -> None:
    """Shells have what they start in the background ignore it, these tests among it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_control_c_ends_a_build_with_130_and_nothing_is_left(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "generate.py", "publish", LPOC],
        cwd=ROOT,
        env=environment(tmp_path),
        preexec_fn=hear_control_c,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    with process.stdout, process.stderr:
        before = process.stderr.readline()  # the build has begun
        process.send_signal(signal.SIGINT)
        # Their end is the end of all processes that hold them, the build's among them.
        printed, said = process.stdout.read(), before + process.stderr.read()
        assert process.wait(30) == 130
    assert said.endswith("Interrupted.\n")
    assert "Traceback" not in said
    assert printed == ""
    assert not (tmp_path / "active").exists()
    assert not list((tmp_path / "staging").glob("*"))
