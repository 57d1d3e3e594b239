"""Everything that the Dockerfile names is there, and every command that it gives works."""

import re
import subprocess
from pathlib import Path

import pytest
import requests

from tests.deploy.conftest import Container, Image
from tests.deploy.dockerfile import ROOT, Dockerfile, copied_files, in_context
from tests.deploy.processes import children, clean_environment, wait_until
from tests.support.server import free_port

IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
STAGES = ("slim", "gpu", "build", "model")


def test_stages_follow_from_one_pinned_image(dockerfile: Dockerfile) -> None:
    assert dockerfile.last == "model"
    assert set(STAGES) < dockerfile.stages.keys()
    earlier: set[str] = set()
    for stage in dockerfile.stages.values():
        assert stage.parent in earlier or re.fullmatch(
            r"python:3\.11\.\d+-slim-[a-z]+", stage.parent
        )
        earlier.add(stage.name)


@pytest.mark.parametrize("stage", STAGES)
def test_every_source_of_a_copy_is_there_and_not_ignored(
    dockerfile: Dockerfile, stage: str
) -> None:
    sources = [source for sources, _ in dockerfile.copies(stage) for source in sources]
    assert "policy_server" in sources
    assert [source for source in sources if not copied_files(source, IGNORE)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".git/config",
        "instance/credentials",
        "tests/deploy/conftest.py",
        "policy_server/__pycache__/errors.cpython-311.pyc",
    ],
)
def test_secrets_and_rubbish_never_reach_the_image(name: str) -> None:
    assert not in_context(ROOT / name, IGNORE)
    assert in_context(ROOT / "policy_server/errors.py", IGNORE)


@pytest.mark.parametrize("stage", STAGES)
def test_packages_are_installed_before_code_that_changes_more_often(
    dockerfile: Dockerfile, stage: str
) -> None:
    instructions = dockerfile.lineage(stage)
    (install,) = (i for i, (_, value) in enumerate(instructions) if value.startswith("pip "))
    before = [value for word, value in instructions[:install] if word == "COPY"]
    requirements = instructions[install][1].split(" -r ")[1]
    assert before == [f"{requirements} ./"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_server_is_not_root_and_owns_its_state_alone(
    dockerfile: Dockerfile, stage: str
) -> None:
    user, _, group = dockerfile.value(stage, "USER").partition(":")
    assert int(user) > 0
    assert user == group
    (setup,) = (run for run in dockerfile.runs(stage) if "useradd" in run)
    assert f"--uid {user} " in setup
    owned = f"--owner={user} --group={user} {dockerfile.environment(stage)['BASE_PATH']}"
    assert setup.endswith(owned)
    words = [word for word, _ in dockerfile.lineage(stage)]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "COPY")


@pytest.mark.parametrize("stage", STAGES)
def test_no_secret_is_baked_in(dockerfile: Dockerfile, stage: str) -> None:
    assert not re.search("PASSWORD|API_KEYS|ARG ", str(dockerfile.lineage(stage)))


@pytest.mark.parametrize("stage", STAGES)
def test_containers_stop_gracefully_and_run_four_workers(
    dockerfile: Dockerfile, stage: str
) -> None:
    assert dockerfile.value(stage, "STOPSIGNAL") == "SIGTERM"
    assert dockerfile.environment(stage)["WEB_CONCURRENCY"] == "4"
    assert dockerfile.command(stage) == ["gunicorn", "app:app", "-b", ":8080"]
    assert dockerfile.value(stage, "EXPOSE") == "8080"


def test_the_build_makes_the_contract_and_publishes_the_example(image: Image) -> None:
    contract, published = image.outputs
    assert contract.startswith("LPOC 1.0.0: observations of 12 fields")
    assert published.rstrip().endswith("is active.")
    assert (image.base_path / "active").is_file()


def test_the_command_serves_the_example(container: Container) -> None:
    specification = requests.get(f"{container.url}/api/swagger.json", timeout=30).json()
    observation = specification["definitions"]["Observation"]["example"]
    url = f"{container.url}/api/predict"
    answer = requests.post(url, json=observation, auth=container.credentials, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["meaning"].startswith(("move ", "no "))
    assert requests.post(url, json=observation, timeout=30).status_code == 401


def test_the_number_of_workers_can_be_set(container: Container) -> None:
    wait_until(lambda: len(children(container.process)) == 2)


def test_credentials_are_made_at_the_first_start_for_the_owner_alone(container: Container) -> None:
    credentials = container.image.base_path / "credentials"
    assert credentials.stat().st_mode & 0o777 == 0o600


def test_the_health_check_tells_up_from_down(
    dockerfile: Dockerfile, container: Container, tmp_path: Path
) -> None:
    def check(port: int) -> int:
        command = dockerfile.health_command("model")
        assert command[0] == "python"
        on_port = [word.replace(":8080/", f":{port}/") for word in command]
        # A proxy for everything must not be asked for the server's health.
        environment = clean_environment(tmp_path, {"http_proxy": "http://127.0.0.1:1"})
        return subprocess.run(on_port, env=environment, capture_output=True).returncode

    assert check(container.port) == 0
    assert check(free_port()) == 1
