"""app.yaml asks for what the image gives."""

from dataclasses import fields
from typing import Any

import pytest
import requests
import yaml

from policy_server.app.settings import Settings
from tests.deploy.conftest import Container
from tests.deploy.dockerfile import ROOT, Dockerfile

APP: dict[str, Any] = yaml.safe_load((ROOT / "app.yaml").read_text(encoding="utf-8"))
PORT_OF_APP_ENGINE = "8080"


def test_the_runtime_is_the_dockerfile_beside_it(dockerfile: Dockerfile) -> None:
    assert (APP["runtime"], APP["env"]) == ("custom", "flex")
    assert dockerfile.value(dockerfile.last, "EXPOSE") == PORT_OF_APP_ENGINE
    assert str(Settings().port) == PORT_OF_APP_ENGINE


@pytest.mark.parametrize(
    ("check", "path"),
    [("readiness_check", "/api/health/ready"), ("liveness_check", "/api/health/live")],
)
def test_checks_are_answered_without_credentials(
    container: Container, check: str, path: str
) -> None:
    assert APP[check]["path"] == path
    assert requests.get(container.url + APP[check]["path"], timeout=30).status_code == 200


def test_one_instance_holds_the_uploads() -> None:
    assert APP["manual_scaling"] == {"instances": 1}


def test_variables_are_known_texts_and_no_secrets() -> None:
    known = {setting.metadata["name"] for setting in fields(Settings)}
    assert APP["env_variables"].keys() <= known
    assert not [name for name in APP["env_variables"] if "PASSWORD" in name or "KEYS" in name]
    assert all(isinstance(value, str) for value in APP["env_variables"].values())


def test_workers_have_memory_and_processors() -> None:
    workers = int(APP["env_variables"]["WEB_CONCURRENCY"])
    assert workers <= APP["resources"]["cpu"]
    # Twice what a worker that needs TensorFlow takes, and a build beside them.
    assert APP["resources"]["memory_gb"] * 1000 >= (workers + 1) * 1250
