"""`edge`: the package of a version in BASE_PATH, as a server hands it out."""

import zipfile
from pathlib import Path

from tests.support.server import run_command


def test_it_writes_the_package_of_a_version(published_lpoc: Path, tmp_path: Path) -> None:
    name = (published_lpoc / "active").read_text().strip()
    file = tmp_path / "steering.zip"
    done = run_command("edge", name, "--output", str(file), base_path=published_lpoc)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{file} has version {name}: its README.md says how to go on.\n"
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        assert {"network.onnx", "policy.h", "example.c", "example.cpp"} < {*archive.namelist()}


def test_a_version_that_is_not_there_leaves_no_file(published_lpoc: Path, tmp_path: Path) -> None:
    file = tmp_path / "none.zip"
    done = run_command("edge", "99-none", "--output", str(file), base_path=published_lpoc)
    assert done.returncode == 2
    assert "There is no" in done.stderr
    assert not file.exists()
