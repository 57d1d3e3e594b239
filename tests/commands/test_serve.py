"""`serve` publishes a folder first, or says why nothing is served."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.commands.program import main
from tests.support.churn import SCHEMA, parts_of
from tests.support.server import ROOT, environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy's folder."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "schema.yaml").write_text(SCHEMA)
    for name, content in parts_of(3).values():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("schema.yaml", "model.onnx", "output_mapper.yaml"), "holds no model"),
        (("model.onnx",), "holds no model"),
        (("schema.yaml",), "There is no schema yet."),
    ],
)
def test_a_folder_that_cannot_be_served_is_refused_in_plain_words(
    folder: Path,
    missing: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in missing:
        (folder / name).unlink()
    monkeypatch.setenv("BASE_PATH", str(folder.parent / "instance"))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--publish", str(folder)])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (folder.parent / "instance" / "active").exists()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BASE_PATH", str(tmp_path / "instance"))
    with pytest.raises(SystemExit):
        main(["serve", "--publish", str(tmp_path / "nowhere")])
    assert f"{tmp_path / 'nowhere'} is not a folder." in capsys.readouterr().err


def test_it_ends_when_it_is_asked_to_while_it_publishes(folder: Path) -> None:
    """Also as the first process of a container, which no signal ends that it does not handle."""
    base = folder.parent / "instance"
    with subprocess.Popen(
        [sys.executable, "generate.py", "serve", "--publish", str(folder)],
        cwd=ROOT,
        env=environment(base, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        step = process.stderr.readline()
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1:]) == (130, ["Interrupted."]), step + said
    assert not (base / "active").exists()
