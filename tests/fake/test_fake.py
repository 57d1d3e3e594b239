"""A fake server, as tests of clients use it."""

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from policy_server.contract.contract import ContractFile
from policy_server.contract.samples import random_observations
from policy_server.errors import ConfigurationError
from policy_server.fake import KEY, PASSWORD, USER, fake_server
from tests.support.server import ROOT, environment

SCHEMA = """\
observations:
  speed: {type: float, minimum: 0, maximum: 9, example: 2.5}
  may: {type: "List[bool]", shape: [3], mask_of: steer, example: [true, false, true]}
actions:
  steer: {type: str, enum: [left, straight, right]}
  gas: {type: float, minimum: 2, maximum: 3}
"""
OBSERVATION = {"speed": 2.5, "may": [True, False, True]}
OTHERS = {
    "lists of any length, tuples": (
        'observations: {path: {type: "List[float]", max_items: 5}}\nparameters: {tuple: true}\n'
    ),
    "real numbers": (
        "observations: {heat: {type: float, required: false}}\n"
        "actions: {gas: {type: float, minimum: 2, maximum: 3}}\n"
    ),
    "nothing observed": "parameters: {discrete: true}\n",
}


def write(folder: Path, schema: str) -> Path:
    path = folder / "schema.yaml"
    path.write_text(schema)
    return path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fake_server(write(tmp_path_factory.mktemp("fake"), SCHEMA), seed=7) as url:
        yield url


@pytest.fixture
def url(running: str) -> str:
    """A server that nothing was asked yet."""
    for path in ("calls", "faults"):
        assert requests.delete(control(running, path), timeout=60).status_code == 204
    return running


def control(url: str, path: str) -> str:
    return f"{url.removesuffix('/api')}/fake/{path}"


def ask(url: str, body: Any = OBSERVATION, path: str = "predict", **options: Any) -> Any:
    options.setdefault("auth", (USER, PASSWORD))
    return requests.post(f"{url}/{path}", json=body, timeout=60, **options)


def told(url: str, **fault: Any) -> Any:
    return requests.post(control(url, "faults"), json=fault, timeout=60)


def calls(url: str) -> Any:
    return requests.get(control(url, "calls"), timeout=60).json()["calls"]


def assert_documented(url: str, answer: requests.Response, path: str) -> None:
    document = requests.get(f"{url}/openapi.json", timeout=60).json()
    response = document["paths"][path]["post"]["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = document["components"]["responses"][str(answer.status_code)]
    assert all(name in answer.headers for name in response["headers"])
    media_type = answer.headers["Content-Type"].partition(";")[0]
    schema = {**response["content"][media_type]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_decisions_are_valid_and_keep_to_masks_and_bounds(url: str) -> None:
    decided = []
    for _ in range(30):
        answer = ask(url)
        assert_documented(url, answer, "/predict")
        decided.append(answer.json())
    assert {each["values"]["steer"] for each in decided} == {"left", "right"}
    gas = {each["values"]["gas"] for each in decided}
    assert min(gas) >= 2
    assert max(gas) <= 3
    assert len(gas) > 1


def test_episodes_go_on(url: str) -> None:
    first = ask(url, {"observation": OBSERVATION}, "step").json()
    second = ask(url, {"observation": OBSERVATION, "memory": first["memory"]}, "step")
    assert_documented(url, second, "/step")
    forged = ask(url, {"observation": OBSERVATION, "memory": "forged"}, "step")
    assert_documented(url, forged, "/step")
    assert forged.status_code == 400


def test_a_seed_repeats_what_was_decided(url: str) -> None:
    before = [ask(url).json() for _ in range(5)]
    requests.delete(control(url, "calls"), timeout=60)
    assert [ask(url).json() for _ in range(5)] == before
    assert len({json.dumps(each) for each in before}) > 1
    own = [ask(url, params={"seed": 1}).json() for _ in range(2)]
    assert own[0] == own[1]


@pytest.mark.parametrize(
    ("body", "options", "status"),
    [
        ({**OBSERVATION, "speed": 10}, {}, 400),
        ({**OBSERVATION, "misspelt": 10}, {}, 400),
        (OBSERVATION, {"auth": (USER, "another password")}, 401),
        (OBSERVATION, {"auth": None, "headers": {"X-API-Key": KEY}}, 200),
        (OBSERVATION, {"headers": {"X-Policy-Version": "another"}}, 409),
    ],
)
def test_what_is_wrong_is_refused_as_ever(url: str, body: Any, options: Any, status: int) -> None:
    answer = ask(url, body, **options)
    assert answer.status_code == status
    assert_documented(url, answer, "/predict")


def test_calls_are_recorded_without_secrets(url: str) -> None:
    ask(url, params={"seed": 3}, headers={"X-Request-Id": "mine"})
    ask(url, {"speed": 1})
    requests.get(f"{url}/health/ready", timeout=60)
    first, second = calls(url)
    assert (first["method"], first["path"], first["query"]) == ("POST", "/api/predict", "seed=3")
    assert (first["body"], first["status"]) == (OBSERVATION, 200)
    assert first["headers"]["x-request-id"] == "mine"
    assert "authorization" not in first["headers"]
    assert (second["body"], second["status"]) == ({"speed": 1}, 400)
    requests.delete(control(url, "calls"), timeout=60)
    assert calls(url) == []


def test_it_fails_as_it_is_told(url: str) -> None:
    assert told(url, problem="overloaded", times=2, retry_after=0).status_code == 201
    told(url, status=500, path="/predict_batch")
    answers = [ask(url) for _ in range(3)]
    assert [each.status_code for each in answers] == [503, 503, 200]
    assert answers[0].json()["type"] == "/problems/overloaded"
    assert answers[0].headers["Retry-After"] == "0"
    for each in answers:
        assert_documented(url, each, "/predict")
    assert ask(url, {"observations": [OBSERVATION]}, "predict_batch").status_code == 500
    assert ask(url, {"observations": [OBSERVATION]}, "predict_batch").status_code == 200
    assert [each["status"] for each in calls(url)] == [503, 503, 200, 500, 200]


def test_it_answers_late_as_it_is_told(url: str) -> None:
    told(url, delay_seconds=1.5)
    before = time.monotonic()
    assert ask(url).status_code == 200
    assert time.monotonic() - before >= 1.5
    assert calls(url)[0]["seconds"] >= 1.5
    told(url, delay_seconds=60)
    requests.delete(control(url, "faults"), timeout=60)
    assert ask(url).status_code == 200


def test_a_fault_that_cannot_be_is_refused_with_every_fault(url: str) -> None:
    wrong = told(url, problem="overload", status=503, times=0, delay_seconds=-1, retry_after=-1)
    assert wrong.status_code == 400
    places = {each["pointer"] for each in wrong.json()["errors"]}
    assert places == {"/problem", "/status", "/times", "/delay_seconds", "/retry_after"}
    assert "overloaded" in wrong.json()["errors"][0]["detail"]
    assert [told(url, **each).status_code for each in ({}, {"sort": 1}, {"status": 200})] == [
        400
    ] * 3
    assert requests.get(control(url, "faults"), timeout=60).json() == {"faults": []}
    assert requests.get(control(url, "other"), timeout=60).status_code == 404


@pytest.mark.parametrize("name", OTHERS)
def test_any_schema_will_do(name: str, tmp_path: Path) -> None:
    contract = ContractFile(OTHERS[name]).resolve()
    with fake_server(write(tmp_path, OTHERS[name])) as url:
        asked: list[tuple[str, Any]] = [("predict_raw", {"obs": [0.0] * 4})]
        if contract.schema.is_observed:
            operations = ("predict", "predict_deterministic", "distribution")
            observations = random_observations(contract.schema, 3, seed=1)
            asked = [*itertools.product(operations, observations)]
        for operation, body in asked:
            answer = ask(url, body, operation)
            assert answer.status_code == 200, answer.text
            assert_documented(url, answer, f"/{operation}")
    if name == "real numbers":
        assert answer.json()["dimensions"][0]["mean"] == 0.5


def test_as_a_command_with_the_example_of_the_python_sdk(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "generate.py", "fake"]
    command += [write(tmp_path, SCHEMA), "--port", "0", "--key", "another-key-of-tests"]
    given = environment(tmp_path / "instance")
    with subprocess.Popen(
        command, cwd=ROOT, env=given, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        try:
            for _ in itertools.count():
                archive = requests.get(f"{url}/clients/python", auth=(USER, PASSWORD), timeout=60)
                if archive.status_code != 503:
                    break
                time.sleep(0.5)  # until it is made
            with zipfile.ZipFile(io.BytesIO(archive.content)) as files:
                files.extractall(tmp_path)
            variables = {"POLICY_KEY": "another-key-of-tests", "POLICY_URL": url}
            done = subprocess.run(
                [sys.executable, "example.py"],
                cwd=tmp_path / "python",
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads((tmp_path / "python" / "example.json").read_text()) in [
                call["body"] for call in calls(url)
            ]
        finally:
            server.send_signal(signal.SIGTERM)
    assert server.returncode == 0
    assert not (tmp_path / "instance").exists()


def test_what_keeps_it_from_starting_is_said(tmp_path: Path) -> None:
    for schema in (tmp_path / "none.yaml", write(tmp_path, "observations: {a: {type: intt}}\n")):
        with pytest.raises(ConfigurationError, match=schema.name), fake_server(schema):
            pass
    sound, beyond = write(tmp_path, SCHEMA), 70_000
    with pytest.raises(ConfigurationError, match="--port"), fake_server(sound, port=beyond):
        pass
