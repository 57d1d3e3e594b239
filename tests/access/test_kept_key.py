"""The key that signs memories: from the settings, or made once for all who start together."""

import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.app.episodes import memory_key
from policy_server.app.settings import Settings, read_settings
from policy_server.errors import ConfigurationError
from tests.support.checkout import ROOT

GIVEN = "a random text of more than 32 characters"
PROGRAM = """
import sys
from pathlib import Path
from policy_server.access.kept_key import kept_key
sys.stdin.readline()
print(kept_key(Path(sys.argv[1])).decode())
"""


def settings_of(base: Path, **given: str) -> Settings:
    environment = {f"POLICY_SERVER_{name}": value for name, value in given.items()}
    return read_settings({"base_path": base}, environment, base / "none")


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "memory_key"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=60)[0] for process in started}
    assert len(keys) == 1
    assert keys.pop().encode() == path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_folders_have_keys_of_their_own_which_stay(tmp_path: Path) -> None:
    one, other = (memory_key(settings_of(tmp_path / name)) for name in ("one", "other"))
    assert one is not None
    assert other is not None
    assert one != other
    assert len(one) == 64
    assert memory_key(settings_of(tmp_path / "one")) == one


def test_a_key_of_the_settings_is_kept_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{GIVEN}\n")
    base = tmp_path / "base"
    assert memory_key(settings_of(base, MEMORY_KEY=GIVEN)) == GIVEN.encode()
    assert memory_key(settings_of(base, MEMORY_KEY_FILE=str(file))) == GIVEN.encode()
    assert not base.exists()
    assert GIVEN not in repr(settings_of(base, MEMORY_KEY=GIVEN))


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="32 characters or more") as caught:
        settings_of(tmp_path, MEMORY_KEY="guessable")
    assert "guessable" not in str(caught.value)
    file = tmp_path / "secret"
    file.write_text("guessable")
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_MEMORY_KEY_FILE: is a random"):
        memory_key(settings_of(tmp_path, MEMORY_KEY_FILE=str(file)))
    with pytest.raises(ConfigurationError, match="give one of them"):
        settings_of(tmp_path, MEMORY_KEY=GIVEN, MEMORY_KEY_FILE=str(file))


def test_where_no_key_can_be_kept_there_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base = tmp_path / "base"
    (base / "memory_key").mkdir(parents=True)  # so that no file can be there, for root either
    with caplog.at_level(logging.WARNING):
        assert memory_key(settings_of(base)) is None
    assert "POST /step is not answered" in caplog.text
