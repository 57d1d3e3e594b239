"""The slim image serves a version that was built elsewhere, without what it does not install."""

import importlib.metadata
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.deploy.conftest import Container, Image
from tests.deploy.dockerfile import ROOT, Dockerfile, assemble
from tests.deploy.processes import answers, running
from tests.support.server import free_port

BLOCKER = '''"""Stands for an installation without these modules."""

import sys

MISSING = {missing!r}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ImportError(f"{{name}} is not in requirements-slim.txt")


sys.meta_path.insert(0, Blocker())
'''
LPOC = ROOT / "examples/lpoc"


def missing_modules() -> set[str]:
    """Top-level modules of every distribution that requirements-slim.txt does not name."""
    text = (ROOT / "requirements-slim.txt").read_text(encoding="utf-8")
    slim = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    owners = importlib.metadata.packages_distributions()
    return {
        module
        for module, distributions in owners.items()
        if not slim & {re.sub(r"[-_.]+", "-", name).lower() for name in distributions}
    }


@pytest.fixture(scope="module")
def slim(
    dockerfile: Dockerfile, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    folder = tmp_path_factory.mktemp("slim")
    assemble(dockerfile, "slim", folder)
    # In the working directory, so that the build process, which gets no environment, has it too.
    blocker = BLOCKER.format(missing=missing_modules())
    (folder / "sitecustomize.py").write_text(blocker, encoding="utf-8")
    base_path = tmp_path_factory.mktemp("slim-state") / "instance"
    shutil.copytree(image.base_path, base_path, ignore=shutil.ignore_patterns("credentials"))
    port = free_port()
    variables = {
        **dockerfile.environment("slim"),
        "BASE_PATH": str(base_path),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "PYTHONPATH": str(folder),
    }
    ready = answers(f"http://127.0.0.1:{port}/api/health/ready")
    with running(dockerfile.command("slim"), folder, variables, ready) as process:
        yield Container(Image(folder, base_path, (), {}), port, process.pid)


def upload(container: Container, part: str, path: Path) -> requests.Response:
    with path.open("rb") as file:
        return requests.post(
            f"{container.url}/api/{part.replace('_', '')}",
            files={f"{part}_file": file},
            auth=container.credentials,
            timeout=120,
        )


def test_the_blocked_modules_are_those_that_slim_does_without() -> None:
    missing = missing_modules()
    assert {"tensorflow", "tf2onnx", "onnx", "keras", "streamlit"} <= missing
    assert not {"numpy", "onnxruntime", "connexion", "yaml", "google"} & missing


def test_slim_decides_as_the_full_server_does(slim: Container, container: Container) -> None:
    specification = requests.get(f"{slim.url}/api/swagger.json", timeout=30).json()
    observation = specification["definitions"]["Observation"]["example"]
    answers_of = [
        requests.post(
            f"{server.url}/api/predict?seed=7",
            json=observation,
            auth=server.credentials,
            timeout=30,
        )
        for server in (slim, container)
    ]
    assert [answer.status_code for answer in answers_of] == [200, 200]
    assert answers_of[0].json() == answers_of[1].json()
    assert requests.get(f"{slim.url}/api/ui/", timeout=30).status_code == 200


@pytest.mark.parametrize("part", ["preprocessor", "output_mapper"])
def test_slim_takes_parts_that_need_no_tensorflow(slim: Container, part: str) -> None:
    suffix = "py" if part == "preprocessor" else "yaml"
    answer = upload(slim, part, LPOC / f"{part}.{suffix}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "active"


def test_slim_refuses_a_saved_model_and_says_what_is_missing(slim: Container) -> None:
    answer = upload(slim, "model", LPOC / "saved_model.zip")
    assert answer.status_code == 422
    assert "TensorFlow is not installed" in answer.json()["detail"]
