"""Copies of the checkout as others would get it."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("api.py", "app.py", "configuration.py", "generate.py", "gunicorn.conf.py")
NEEDED = ("swagger.template.yaml", "pyproject.toml", "assets")


def tracked_files() -> list[str]:
    """What git tracks or would track of the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def copy_checkout(folder: Path) -> Path:
    """Copy those files into a folder; returns it."""
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def copy_program(folder: Path) -> Path:
    """Copy what the server runs into a folder, where a test may change it; returns the folder."""
    shutil.copytree(
        ROOT / "policy_server",
        folder / "policy_server",
        ignore=shutil.ignore_patterns("__pycache__", "frontend"),
    )
    for name in PROGRAM:
        shutil.copy(ROOT / name, folder / name)
    for name in NEEDED:
        (folder / name).symlink_to(ROOT / name)
    return folder
