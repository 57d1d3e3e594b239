"""`describe`: what the command prints, and how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.checkout import ROOT
from tests.support.server import environment

ZIPS = ROOT / "tests" / "files" / "stable_baselines3"


def describe(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "generate.py"), "describe", *words],
        env=environment(folder / "instance"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_file_is_described_with_texts_to_begin_with(tmp_path: Path) -> None:
    done = describe(tmp_path, str(ZIPS / "td3.zip"))
    assert done.returncode == 0, done.stderr
    facts, schema, model = done.stdout.split("\n--- ")
    assert "format: a Stable-Baselines3 zip of TD3" in facts
    assert "input: obs: float [batch, 5]" in facts
    assert schema.startswith("schema.yaml ---\n")
    assert "  action_0: {type: float, minimum: -2, maximum: 2}\n" in schema
    assert model == 'model.yaml ---\noutput: "actions"\nreads: actions\n'
    wrong = describe(tmp_path, str(ZIPS / "td3.zip"), "--reads", "logits")
    assert wrong.returncode == 2
    assert "`reads: actions`" in wrong.stderr


def test_a_folder_is_described_with_its_model_yaml(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "model.zip").write_bytes((ZIPS / "ppo_discrete.zip").read_bytes())
    (folder / "model.yaml").write_text("reads: costs\n")
    done = describe(tmp_path, str(folder))
    assert done.returncode == 2
    assert "model.yaml says `reads: costs`" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04 and no more", "not a sound zip"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", "a pickle"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite cannot load it"),
    ],
)
def test_an_odd_file_is_named_without_a_stack_trace(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "odd").write_bytes(content)
    done = describe(tmp_path, str(tmp_path / "odd"))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = describe(tmp_path, str(tmp_path / "none"))
    assert done.returncode == 2
    assert "neither a file nor a folder" in done.stderr
