"""Everything that the Dockerfile names is there, and every command that it gives works."""

import fnmatch
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import requests

from policy_server.app.settings import Settings
from tests.deploy.conftest import Container, Image
from tests.deploy.dockerfile import ROOT, Dockerfile, copied_files, in_context
from tests.deploy.processes import (
    BIN,
    answers,
    children,
    clean_environment,
    running,
    wait_until,
)
from tests.support.server import free_port

IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
STAGES = ("slim", "gpu", "build", "model")


def test_stages_follow_from_one_pinned_image(dockerfile: Dockerfile) -> None:
    assert dockerfile.last == "model"
    assert set(STAGES) < dockerfile.stages.keys()
    earlier: set[str] = set()
    for stage in dockerfile.stages.values():
        assert stage.parent in earlier or re.fullmatch(
            r"python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", stage.parent
        )
        earlier.add(stage.name)


@pytest.mark.parametrize("stage", STAGES)
def test_every_source_of_a_copy_is_there_and_not_ignored(
    dockerfile: Dockerfile, stage: str
) -> None:
    sources = [source for sources, _ in dockerfile.copies(stage) for source in sources]
    assert "policy_server" in sources
    missing = [source for source in sources if not copied_files(source, IGNORE)]
    assert {source.partition("/")[0] for source in missing} <= {"dist"}  # where `make sbom` ran


@pytest.mark.parametrize(("stage", "made"), [("slim", "-slim"), ("gpu", "-gpu"), ("model", "")])
def test_the_list_of_what_is_inside_is_taken_along_where_the_label_says(
    dockerfile: Dockerfile, stage: str, made: str
) -> None:
    """What `make sbom` writes, and no image is lacking without."""
    file = f"sbom{made}.json"
    assert dockerfile.labels(stage)["policy-server.sbom"] == f"/opt/policy-server/{file}"
    (patterns,) = [sources for sources, _ in dockerfile.copies(stage) if "*.py" in sources]
    (pattern,) = [source for source in patterns if source.startswith("dist/")]
    assert [*fnmatch.filter([f"dist/{file}", "dist/a.whl"], pattern)] == [f"dist/{file}"]
    assert in_context(ROOT / "dist" / file, IGNORE)
    assert glob.has_magic(pattern)
    assert f"dist/{file.replace(made, '-$$image') if made else file}" in MAKEFILE


def test_the_command_line_of_the_image_knows_its_version(
    dockerfile: Dockerfile, image: Image
) -> None:
    done = subprocess.run(
        [sys.executable, "generate.py", "--version"],
        cwd=image.folder,
        env=clean_environment(image.folder, {}),
        capture_output=True,
        text=True,
        check=False,
    )
    version = dockerfile.labels(dockerfile.last)["org.opencontainers.image.version"]
    assert done.stdout == f"policy-server {version}\n", done.stderr


def test_labels_say_what_it_is(dockerfile: Dockerfile) -> None:
    labels, prefix = dockerfile.labels(dockerfile.last), "org.opencontainers.image."
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert labels[f"{prefix}version"] == project["version"]
    assert labels[f"{prefix}licenses"] == project["license"]
    assert {f"{prefix}title", f"{prefix}description"} < labels.keys()


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
def test_the_server_is_not_root_and_owns_its_state_with_the_group_0_alone(
    dockerfile: Dockerfile, stage: str
) -> None:
    user, _, group = dockerfile.value(stage, "USER").partition(":")
    assert int(user) > 0
    assert group == "0"
    (setup,) = (run for run in dockerfile.runs(stage) if "useradd" in run)
    assert f"--uid {user} --gid 0 " in setup
    owned = f"--owner={user} --group=0 --mode=2770 {dockerfile.environment(stage)['BASE_PATH']}"
    assert setup.endswith(owned)
    words = [word for word, _ in dockerfile.lineage(stage)]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "COPY")


def test_what_the_build_leaves_its_group_may_write_to(image: Image) -> None:
    """Which every user of OpenShift is in: test_placement.py serves as one."""
    assert any(path.name == "active" for path in image.modes)
    wrong = {path for path, mode in image.modes.items() if mode >> 6 & 0o7 != mode >> 3 & 0o7}
    assert wrong == set()


@pytest.mark.parametrize("stage", STAGES)
def test_no_secret_is_baked_in(dockerfile: Dockerfile, stage: str) -> None:
    assert not re.search("PASSWORD|API_KEYS|ARG ", str(dockerfile.lineage(stage)))


@pytest.mark.parametrize("stage", STAGES)
def test_containers_stop_gracefully_and_listen_to_their_network(
    dockerfile: Dockerfile, stage: str
) -> None:
    assert dockerfile.value(stage, "STOPSIGNAL") == "SIGTERM"
    assert dockerfile.command(stage) == ["gunicorn", "app:app"]
    assert dockerfile.environment(stage)["HOST"] == "0.0.0.0"
    assert dockerfile.value(stage, "EXPOSE") == str(Settings().port)
    assert not dockerfile.environment(stage).keys() & {"PORT", "WEB_CONCURRENCY"}


def test_the_build_makes_the_contract_and_publishes_the_example(image: Image) -> None:
    _, contract, published = image.outputs
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


def health(
    dockerfile: Dockerfile, image: Image, **settings: str
) -> "subprocess.CompletedProcess[str]":
    # A proxy for everything must not be asked for the server's health.
    environment = {**dockerfile.environment("model"), "http_proxy": "http://127.0.0.1:1"}
    return subprocess.run(
        dockerfile.health_command("model"),
        cwd=image.folder,
        env=clean_environment(image.folder, {**environment, **settings}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_health_check_tells_up_from_down(
    dockerfile: Dockerfile, container: Container, image: Image
) -> None:
    assert health(dockerfile, image, PORT=str(container.port)).returncode == 0
    ours = {"PORT": "1", "POLICY_SERVER_PORT": str(container.port)}
    assert health(dockerfile, image, **ours).returncode == 0
    down = health(dockerfile, image, PORT=str(free_port()))
    assert down.returncode == 1
    assert "does not answer" in down.stderr
    assert "Traceback" not in down.stderr


def test_one_without_a_policy_is_alive(
    dockerfile: Dockerfile, image: Image, tmp_path: Path
) -> None:
    """And started again by nobody, while it waits for uploads; over TLS and IPv6 as well."""
    certificates = tmp_path / "certificates"
    script = str(ROOT / "deploy/certificates.sh")
    subprocess.run(["sh", script, str(certificates), "::1"], check=True)
    port = free_port()
    base = tmp_path / "state"
    base.mkdir()
    for name in ("contract.json", "swagger.yaml"):
        shutil.copy(image.base_path / name, base)
    variables = {
        **dockerfile.environment("model"),
        **{"BASE_PATH": str(base), "HOST": "::1", "PORT": str(port), "WEB_CONCURRENCY": "1"},
        **{"POLICY_SERVER_TLS_CERTIFICATE": str(certificates / "fullchain.pem")},
        **{"POLICY_SERVER_TLS_KEY": str(certificates / "key.pem")},
    }
    command = dockerfile.command("model")
    with running(
        command, image.folder, variables, lambda: not health(dockerfile, image, **variables).stderr
    ):
        assert health(dockerfile, image, **variables).returncode == 0
        url = f"https://[::1]:{port}/api/health/ready"
        ready = requests.get(url, verify=str(certificates / "authority.pem"), timeout=30)
        assert ready.status_code == 503


def test_as_the_first_process_it_buries_the_dead_and_ends_when_asked(
    dockerfile: Dockerfile, image: Image
) -> None:
    """As in a container without an init: the children of a killed worker become its own."""
    port = free_port()
    variables = {"BASE_PATH": str(image.base_path), "HOST": "127.0.0.1", "PORT": str(port)}
    command = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    program, *arguments = dockerfile.command("model")
    process = subprocess.Popen(
        [*command, str(BIN / program), *arguments],
        cwd=image.folder,
        env=clean_environment(image.folder, {**variables, "WEB_CONCURRENCY": "2"}),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(answers(f"http://127.0.0.1:{port}/api/health/ready"))
        (first,) = children(process.pid)
        wait_until(lambda: len(children(first)) == 2)
        (worker, _) = children(first)
        orphans = children(worker)
        assert orphans, "a preprocessor's process"
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (worker, *orphans)))
        wait_until(lambda: len(children(first)) == 2)
        os.kill(first, signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
