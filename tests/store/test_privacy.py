"""Nobody but its owner, and the group that may share it, looks into BASE_PATH."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.store.privacy import keep_private
from tests.support.ordinary_user import as_ordinary_user
from tests.support.server import ROOT

TELLS = """\
import sys
from pathlib import Path
from policy_server.store.privacy import keep_private
print(keep_private(Path(sys.argv[1])))
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_one_is_its_owners(tmp_path: Path) -> None:
    base = tmp_path / "state" / "instance"
    assert keep_private(base) is None
    assert mode(base) == 0o700


@pytest.mark.parametrize(("before", "after"), [(0o755, 0o750), (0o2775, 0o2770), (0o700, 0o700)])
def test_one_that_is_there_is_closed_to_all_but_its_group(
    tmp_path: Path, before: int, after: int
) -> None:
    (tmp_path / "versions").mkdir()
    tmp_path.chmod(before)
    assert keep_private(tmp_path) is None
    assert mode(tmp_path) == after


@pytest.mark.parametrize(
    ("file", "given"), [("somebody's thesis", 0o755), ("contract.json", 0o1777)]
)
def test_a_folder_of_others_is_left_as_it_is_and_named(
    tmp_path: Path, file: str, given: int
) -> None:
    (tmp_path / file).touch()
    tmp_path.chmod(given)
    assert f"run `chmod o= {tmp_path}`" in (keep_private(tmp_path) or "")
    assert mode(tmp_path) == given


def test_a_folder_of_another_owner_is_named(tmp_path: Path) -> None:
    """As where a platform runs an image as a user of its own choice."""
    (tmp_path / "versions").mkdir()
    tmp_path.chmod(0o775)
    if os.geteuid() != 0:  # the folder is this user's own, too
        assert keep_private(tmp_path) is None
        return
    command = as_ordinary_user(sys.executable, "-c", TELLS, str(tmp_path))
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "every user of this machine can look into" in told
    assert mode(tmp_path) == 0o775
