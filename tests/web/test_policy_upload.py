"""POST /policy: a whole policy in one step, and with another schema another API, under load."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import (
    KEY,
    PASSWORD,
    ROOT,
    USER,
    Server,
    gunicorn,
    publish,
    run_command,
)

SPEEDS = """
observations:
  speed: {type: float, minimum: 0, maximum: 9}
  gear: {type: int, minimum: 1, maximum: 5}
parameters: {discrete: false}
"""
LIGHTS = """
observations:
  light: {type: str, enum: [red, amber, green]}
parameters: {tuple: true}
"""
KERNEL = linear_kernel(3, 5)
TRIPLE = "def preprocess(observation):\n    return [observation['speed'], 1.0, 2.0]\n"
FILES = {
    "model_file": "policy.onnx",
    "preprocessor_file": "preprocessor.py",
    "output_mapper_file": "output_mapper.yaml",
    "schema_file": "schema.yaml",
    "golden_file": "golden.jsonl",
}
SWAPS, PAUSE_SECONDS = 2, 1.0
WAIT_SECONDS = 30.0
CLIENTS = 8


@pytest.fixture(scope="module")
def speeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with continuous actions, and a preprocessor."""
    folder = tmp_path_factory.mktemp("speeds")
    (folder / "schema.yaml").write_text(SPEEDS)
    (folder / "preprocessor.py").write_text(TRIPLE)
    (folder / "policy.onnx").write_bytes(linear_onnx(3, 2, output="mean_log_std"))
    return folder


@pytest.fixture(scope="module")
def lights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy with two heads, which an output mapper names."""
    folder = tmp_path_factory.mktemp("lights")
    (folder / "schema.yaml").write_text(LIGHTS)
    (folder / "policy.onnx").write_bytes(linear_onnx(3, 5))
    (folder / "output_mapper.yaml").write_text("- {0: stay, 1: go}\n- {0: a, 1: b, 2: c}\n")
    return folder


def parts_of(folder: Path, *without: str) -> dict[str, tuple[str, bytes]]:
    return {
        field: (name, (folder / name).read_bytes())
        for field, name in FILES.items()
        if field not in without and (folder / name).exists()
    }


def upload(server: Server, files: dict[str, tuple[str, bytes]], **options: Any) -> Any:
    options.setdefault("auth", (USER, PASSWORD))
    return server.session.post(f"{server.url}/policy", files=files, timeout=120, **options)


def observation_of(folder: Path) -> dict[str, Any]:
    schema = read_schema((folder / "schema.yaml").read_text())
    return dict(random_observations(schema, 1, seed=3)[0])


def everywhere(server: Server, path: str, count: int = 20) -> list[requests.Response]:
    """Answers to several requests, each on a connection of its own: of all workers, then."""
    url = f"{server.url}/{path}"
    return [requests.get(url, auth=(USER, PASSWORD), timeout=30) for _ in range(count)]


def await_everywhere(server: Server, path: str, true: Callable[[requests.Response], bool]) -> None:
    """Wait until it is true of whatever answers."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not all(true(answer) for answer in everywhere(server, path)):
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)


def await_schema(server: Server, text: str) -> None:
    """Wait until all workers serve a schema, and none decides with a version that is not active.

    A single worker may accept every connection, so answers alone do not speak for the other.
    """
    await_everywhere(server, "versions", lambda answer: decides_with_active(answer.json()))
    await_everywhere(server, "schema", lambda answer: answer.text == text)


def await_status(server: Server, status: int) -> None:
    """Wait until all workers are told by the others that they can decide, or that they cannot."""
    await_everywhere(server, "health/ready", lambda answer: answer.status_code == status)


def decides_with_active(listed: Any) -> bool:
    decide = {each["version"] for each in listed["versions"] if each["workers"]}
    return decide <= {listed["active"]}


@pytest.fixture(scope="module")
def published_speeds(speeds: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the policy of speeds decides. Not to be written to."""
    return publish(speeds, tmp_path_factory.mktemp("published") / "instance")


@pytest.fixture
def instance(published_speeds: Path, tmp_path: Path) -> Path:
    """One of a test's own."""
    return Path(shutil.copytree(published_speeds, tmp_path / "instance"))


@pytest.fixture
def server(instance: Path) -> Iterator[Server]:
    """Two workers that serve the policy of speeds."""
    with gunicorn(instance, workers=2) as server:
        yield server


def activate(instance: Path, version: str) -> None:
    (instance / "active.new").write_text(version)
    (instance / "active.new").replace(instance / "active")


def test_another_schema_brings_another_api(
    server: Server, instance: Path, speeds: Path, lights: Path
) -> None:
    old, new = observation_of(speeds), observation_of(lights)
    before = server.post("predict", old).headers["X-Policy-Version"]
    report = upload(server, parts_of(lights))
    assert report.status_code == 200, report.text
    version = report.json()["version"]
    assert report.json()["state"] == "active"
    await_schema(server, LIGHTS)
    for answer in everywhere(server, "swagger.json"):
        definitions = answer.json()["definitions"]
        assert list(definitions["Observation"]["properties"]) == ["light"]
        assert "meanings" in definitions["Prediction"]["properties"]
    await_everywhere(server, "health/ready", lambda answer: answer.json()["version"] == version)
    prediction = server.post("predict", new)
    assert prediction.json().keys() == {"actions", "meanings", "probability"}
    assert prediction.headers["X-Policy-Version"] == version
    assert server.post("predict", old).status_code == 400
    activate(instance, before)  # going back to a version goes back to its contract
    await_schema(server, SPEEDS)
    assert server.post("predict", old).headers["X-Policy-Version"] == before
    assert server.post("predict", new).status_code == 400


def test_clients_of_the_old_api_go_on_where_they_still_fit(server: Server, speeds: Path) -> None:
    old = observation_of(speeds)
    more = SPEEDS.replace("parameters:", "  slope: {type: float, required: false}\nparameters:")
    files = parts_of(speeds) | {"schema_file": ("schema.yaml", more.encode())}
    version = upload(server, files).json()["version"]
    await_schema(server, more)
    for observation in (old, {**old, "slope": 0.5}):
        answer = server.post("predict", observation)
        assert (answer.status_code, answer.headers["X-Policy-Version"]) == (200, version)


def test_a_restart_serves_the_contract_of_the_active_version(instance: Path, lights: Path) -> None:
    with gunicorn(instance) as server:
        version = upload(server, parts_of(lights)).json()["version"]
    with gunicorn(instance) as server:
        answer = server.post("predict", observation_of(lights))
        assert answer.headers["X-Policy-Version"] == version


def test_a_version_that_cannot_be_loaded_leaves_contract_and_policy(
    server: Server, instance: Path, speeds: Path, lights: Path
) -> None:
    before = server.get("health/ready").json()["version"]
    upload(server, parts_of(lights, "output_mapper.yaml"))  # sound, and of the same contract
    version = upload(server, parts_of(lights)).json()["version"]
    await_schema(server, LIGHTS)
    activate(instance, before)
    await_schema(server, SPEEDS)
    (instance / "versions" / version / "model" / "network.onnx").unlink()
    activate(instance, version)
    time.sleep(PAUSE_SECONDS)
    assert {answer.text for answer in everywhere(server, "schema")} == {SPEEDS}
    assert server.post("predict", observation_of(speeds)).headers["X-Policy-Version"] == before
    listed = server.get("versions").json()["versions"]
    assert {each["version"]: each["workers"] for each in listed if each["workers"]} == {before: 2}


def test_the_contract_that_the_command_makes_is_served_without_a_restart(
    server: Server, instance: Path, speeds: Path
) -> None:
    described = SPEEDS.replace("maximum: 9}", "maximum: 9, description: In knots}")
    for text, status in ((described, 200), (LIGHTS, 503)):
        run_command("schema", "-", "--noclients", base_path=instance, text=text)
        await_schema(server, text)
        await_status(server, status)


def test_without_a_schema_the_contract_stays_and_parts_are_not_carried_over(
    server: Server, lights: Path
) -> None:
    two = {"model_file": ("policy.onnx", linear_onnx(2, 2, output="mean_log_std"))}
    report = upload(server, two)
    assert report.json()["state"] == "active", report.text
    assert server.get("schema").text == SPEEDS
    # The preprocessor of the version before would have fitted this one.
    refused = upload(
        server, {"model_file": ("policy.onnx", linear_onnx(3, 2, output="mean_log_std"))}
    )
    assert refused.status_code == 422
    assert "upload a preprocessor" in refused.json()["detail"]
    # A schema that says no more than it did documents the API anew, under the same title.
    described = SPEEDS.replace("maximum: 9}", "maximum: 9, description: In knots}")
    told = upload(server, two | {"schema_file": ("s.yaml", described.encode())})
    assert told.json()["state"] == "active", told.text
    await_schema(server, described)


def ready_with_all(server: Server) -> Any:
    """What readiness says once both workers decide."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (told := server.get("health/ready").json())["workers"]["deciding"] < 2:
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)
    return told


def test_what_is_refused_changes_nothing(server: Server, speeds: Path, lights: Path) -> None:
    before = server.get("swagger.json").content, ready_with_all(server)
    bad_schema = {"schema_file": ("s.yaml", b"observations:\n  a: {type: str}\n  b: 3\n")}
    refused = upload(server, parts_of(speeds) | bad_schema)
    assert refused.status_code == 422
    pointers = [fault["pointer"] for fault in refused.json()["errors"]]
    assert pointers == ["schema.yaml:2", "schema.yaml:3"]
    latin = {"schema_file": ("s.yaml", LIGHTS.replace("red", "roug\u00e9").encode("latin-1"))}
    assert "not UTF-8" in upload(server, parts_of(lights) | latin).json()["detail"]
    other = parts_of(lights) | {"schema_file": ("s.yaml", SPEEDS.encode())}
    assert upload(server, other).status_code == 422
    assert upload(server, parts_of(speeds, "model_file")).status_code == 400
    assert upload(server, parts_of(speeds) | {"more": ("x", b"x")}).status_code == 400
    empty = {"preprocessor_file": ("preprocessor.py", b"")}
    assert upload(server, parts_of(speeds) | empty).status_code == 400
    key = {"X-API-Key": KEY}
    assert upload(server, parts_of(speeds), auth=None, headers=key).status_code == 403
    assert (server.get("swagger.json").content, server.get("health/ready").json()) == before


def test_nothing_fails_and_nothing_is_torn_while_the_contract_changes(
    server: Server, instance: Path, speeds: Path, lights: Path
) -> None:
    """Clients of both contracts ask without a pause while one replaces the other, and back.

    A client gets either an answer in the form that its contract promises, by a version that was
    proven against it, or is told that its observation is not one.
    """
    versions = {speeds: server.get("health/ready").json()["version"]}
    ended = threading.Event()

    def ask(folder: Path) -> list[tuple[int, str | None, tuple[str, ...]]]:
        observation, seen = observation_of(folder), []
        with requests.Session() as session:
            while not ended.is_set():
                answer = session.post(
                    f"{server.url}/predict", json=observation, auth=(USER, PASSWORD), timeout=30
                )
                version = answer.headers.get("X-Policy-Version")
                seen.append((answer.status_code, version, tuple(answer.json())))
        return seen

    with ThreadPoolExecutor(CLIENTS) as pool:
        folders = [speeds, lights] * (CLIENTS // 2)
        clients = [(folder, pool.submit(ask, folder)) for folder in folders]
        try:
            versions[lights] = upload(server, parts_of(lights)).json()["version"]
            for folder in (speeds, lights) * SWAPS:
                time.sleep(PAUSE_SECONDS)
                activate(instance, versions[folder])
            time.sleep(PAUSE_SECONDS)
        finally:
            ended.set()
    forms = {speeds: ("action", "density"), lights: ("actions", "meanings", "probability")}
    for folder, client in clients:
        seen = client.result()
        decided = {(version, form) for status, version, form in seen if status == 200}
        assert {status for status, _, _ in seen} == {200, 400}
        assert decided == {(versions[folder], forms[folder])}


def test_golden_cases_are_replayed_at_upload_and_on_demand(server: Server, lights: Path) -> None:
    hot = {"red": [1, 0, 0], "amber": [0, 1, 0], "green": [0, 0, 1]}
    cases = [
        {"observation": {"light": light}, "distribution_inputs": (row @ KERNEL).tolist()}
        for light, row in hot.items()
    ]
    right = "\n".join(map(json.dumps, cases)).encode()
    report = upload(server, parts_of(lights) | {"golden_file": ("golden.jsonl", right)})
    assert report.status_code == 200, report.text
    version = report.json()["version"]
    (check,) = [each for each in report.json()["checks"] if each["name"] == "golden cases"]
    assert check["passed"] is True
    found = server.post(f"versions/{version}/verify", None)
    assert found.status_code == 200, found.text
    assert found.json()["passed"] is True
    # The schema has the lights in another order than training had.
    other = LIGHTS.replace("red, amber, green", "red, green, amber").encode()
    wrong = parts_of(lights) | {
        "golden_file": ("golden.jsonl", right),
        "schema_file": ("schema.yaml", other),
    }
    refused = upload(server, wrong)
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("2 of 3 golden cases disagree")
    pointers = [each["pointer"] for each in refused.json()["errors"]]
    assert pointers[0] == "/observation/light"
    assert all(pointer.startswith("/distribution_inputs/") for pointer in pointers[1:])
    told = refused.json()["cases"]
    assert [(each["place"], json.loads(each["observation"])) for each in told] == [
        ("line 2", {"light": "amber"}),
        ("line 3", {"light": "green"}),
    ]
    assert {name for each in told for name in each["differences"][0]} == {
        *("field", "recorded", "found")
    }
    assert server.get("versions").json()["active"] == version
    without = upload(server, parts_of(lights)).json()["version"]
    assert server.post(f"versions/{without}/verify", None).status_code == 409
    assert server.post("versions/99-none/verify", None).status_code == 404
    key = {"X-API-Key": KEY}
    answer = server.post(f"versions/{version}/verify", None, auth=None, headers=key)
    assert answer.status_code == 403


def test_a_folder_is_published_to_a_running_server(
    server: Server, lights: Path, tmp_path: Path
) -> None:
    credentials = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD}
    elsewhere, url = tmp_path / "elsewhere", f"http://127.0.0.1:{server.port}"
    done = run_command("publish", lights, "--url", url, base_path=elsewhere, **credentials)
    assert done.returncode == 0, done.stderr
    # Of the store: the other worker may be about to follow.
    version = server.get("versions").json()["active"]
    assert f"Version {version} is active." in done.stdout
    assert "ok      width" in done.stdout
    assert not elsewhere.exists()
    misfit = Path(shutil.copytree(lights, tmp_path / "misfit"))
    (misfit / "output_mapper.yaml").write_text("- {0: stay, 1: go}\n- {0: a, 1: b}\n")
    faults: list[tuple[list[str | Path], str]] = [
        ([misfit, "--url", url], "upload an output mapper"),
        ([lights, "--url", url, "--password", "wrong"], "Accepted credentials are wanted"),
        ([ROOT / "docs", "--url", url], "holds no model"),
        ([lights, "--url", f"{url}/elsewhere"], "There is nothing at this path"),
        ([lights, "--url", "http://127.0.0.1:1"], "cannot be reached"),
        ([lights, "--url", "nonsense"], "cannot be reached"),
    ]
    for arguments, told in faults:
        refused = run_command("publish", *arguments, base_path=elsewhere, **credentials)
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
        assert told in refused.stderr, refused.stderr
    assert server.get("versions").json()["active"] == version
