"""The image that the Dockerfile makes, and a container of it, without an engine."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Dockerfile, assemble, read_dockerfile
from tests.deploy.processes import answers, clean_environment, running
from tests.support.server import free_port


@dataclass(frozen=True)
class Image:
    """What `docker build .` would make: the working directory, and what its RUNs made.

    Attributes:
        modes: Of what its RUNs made; servers of other tests write there later.
    """

    folder: Path
    base_path: Path
    outputs: tuple[str, ...]
    modes: Mapping[Path, int]


@dataclass(frozen=True)
class Container:
    """What `docker run` would run: the image's command on a port of its own."""

    image: Image
    port: int
    process: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> tuple[str, str]:
        user, _, password = (self.image.base_path / "credentials").read_text().partition(":")
        return user, password.strip()


@pytest.fixture(scope="session")
def dockerfile() -> Dockerfile:
    return read_dockerfile()


@pytest.fixture(scope="session")
def image(dockerfile: Dockerfile, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder, base_path = tmp_path_factory.mktemp("image"), tmp_path_factory.mktemp("state")
    assemble(dockerfile, dockerfile.last, folder)
    variables = {**dockerfile.environment(dockerfile.last), "BASE_PATH": str(base_path)}
    outputs = []
    for run in dockerfile.runs(dockerfile.last):
        if not run.startswith("python "):
            continue
        done = subprocess.run(
            ["/bin/sh", "-c", run],
            cwd=folder,
            env=clean_environment(folder, variables),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    assert not (base_path / "credentials").exists(), "the image would hold a password"
    left = [base_path, *(path for path in base_path.rglob("*") if not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in left}
    return Image(folder, base_path, tuple(outputs), modes)


@pytest.fixture(scope="session")
def container(dockerfile: Dockerfile, image: Image) -> Iterator[Container]:
    port = free_port()
    variables = {
        **dockerfile.environment("model"),
        "BASE_PATH": str(image.base_path),
        "HOST": "127.0.0.1",  # not of every network, as in a container
        "PORT": str(port),
        "WEB_CONCURRENCY": "2",
    }
    ready = answers(f"http://127.0.0.1:{port}/api/health/ready")
    with running(dockerfile.command("model"), image.folder, variables, ready) as process:
        yield Container(image, port, process.pid)
