"""The SDK for Python of lpoc, made by itself: for tests of what only this language has."""

import shutil
import zipfile
from pathlib import Path

from tests.clients.conftest import make_contract
from tests.support.server import run_command

MODULE = "the_lpoc_policy_client"


def make_python_sdk(published: Path, folder: Path) -> tuple[Path, Path]:
    """A BASE_PATH in which lpoc decides, and the folder of its SDK.

    Args:
        published: A BASE_PATH in which it does.
        folder: Where both go.
    """
    base_path = Path(shutil.copytree(published, folder / "instance"))
    make_contract("lpoc", base_path, "--noclients")
    done = run_command("clients", "--language", "python", base_path=base_path)
    assert done.returncode == 0, done.stderr
    (archive,) = base_path.glob("clients/*/*/python.zip")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder / "sdk")
    return base_path, folder / "sdk" / "python"
