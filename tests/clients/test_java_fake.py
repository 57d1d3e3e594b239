"""The fake server inside the SDK for Java, beside the real one: one client sees both."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from policy_server.contract.operations import KEY_HEADER
from policy_server.fake import KEY as FAKE_KEY
from policy_server.fake import PASSWORD as FAKE_PASSWORD
from policy_server.fake import USER as FAKE_USER
from tests.clients.conftest import Service
from tests.clients.toolchains import DRIVERS, MINUTE, SHORT_LIVED, Java, run
from tests.support.server import PASSWORD, USER

JAVA = pytest.mark.parametrize("toolchain", ["java"], indirect=True)
OF_A_CONNECTION = {"date", "server", "connection", "content-length", "keep-alive"}
"""Headers that say nothing of the service."""
Answer = dict[str, Any]


@contextmanager
def fake_host(toolchain: Java, service: Service, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A fake server in a process of Java: its URL, and in the end what it recorded."""
    sdk = service.sdk("java")
    program = folder / "FakeHost.java"
    text = (DRIVERS / "FakeHost.java").read_text(encoding="utf-8")
    program.write_text(text.replace("PACKAGE", sdk.package.joined), encoding="utf-8")
    command = ["java", *SHORT_LIVED, "-cp", toolchain.path([sdk]), str(program)]
    recorded: list[str] = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        yield running.stdout.readline().strip(), recorded
        printed, _ = running.communicate(timeout=MINUTE)
    assert running.returncode == 0
    recorded.extend(printed.splitlines())


@pytest.fixture
def fake(toolchain: Java, service: Service, tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    with fake_host(toolchain, service, tmp_path) as started:
        yield started


def requests_of(observation: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Requests that are in order, and requests that are not."""
    lacking = dict(list(observation.items())[1:])
    wrong = {**observation, next(iter(observation)): {}}
    odd = {**observation, "x/~": 1}
    refusable: list[Any] = [lacking, wrong, odd, [], None]
    return [
        *[
            ("POST", path, observation)
            for path in ("predict", "predict_deterministic", "distribution")
        ],
        ("POST", "predict?seed=7", observation),
        ("POST", "predict_batch?seed=7&deterministic=true", {"observations": [observation] * 2}),
        ("POST", "predict_batch", {"observations": []}),
        ("POST", "distribution_batch", {"observations": [observation]}),
        ("POST", "step", {"observation": observation}),
        ("POST", "step_batch", {"steps": [{"observation": observation}]}),
        *[("POST", "predict", each) for each in refusable],
        ("POST", "predict_batch", {"observations": [observation, lacking, odd]}),
        ("POST", "step", {"observation": observation, "memory": "of nothing"}),
        ("POST", "step", {"observation": observation, "memory": 7}),
        ("POST", "predict?seed=x", observation),
        ("POST", "predict?deterministic=true", observation),
        ("POST", "predict_raw", {"obs": ["x"]}),
        ("GET", "predict", None),
        ("POST", "nowhere", observation),
        ("GET", "health/live", None),
    ]


def answer(client: httpx.Client, method: str, path: str, body: Any) -> Answer:
    """What a client sees: status, names of headers, the form of the body, every fault."""
    response = client.get(path) if method == "GET" else client.post(path, json=body)
    content = response.json()
    return {
        "status": response.status_code,
        "headers": set(response.headers) - OF_A_CONNECTION,
        "type": response.headers["Content-Type"],
        "form": form(content) if response.status_code < 300 else sorted(content),
        "kind": content.get("type"),
        "faults": content.get("errors"),
    }


def form(value: Any) -> Any:
    """A value without what is different each time: names and types."""
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


@JAVA
def test_both_answer_and_refuse_in_the_same_form(
    service: Service, fake: tuple[str, list[str]]
) -> None:
    url, _ = fake
    example = service.schema.example()
    with (
        httpx.Client(
            base_url=service.server.url, auth=(USER, PASSWORD), timeout=MINUTE
        ) as real_client,
        httpx.Client(base_url=url, auth=(FAKE_USER, FAKE_PASSWORD), timeout=MINUTE) as fake_client,
    ):
        for request in requests_of(example or {}):
            assert answer(fake_client, *request) == answer(real_client, *request), request
        real_refusal = real_client.post("predict", auth=("nobody", "x"), json=example)
        fake_refusal = fake_client.post("predict", auth=("nobody", "x"), json=example)
    said = {**real_refusal.json(), "instance": ""}
    assert {**fake_refusal.json(), "instance": ""} == said
    assert fake_refusal.headers["WWW-Authenticate"] == real_refusal.headers["WWW-Authenticate"]


@JAVA
def test_its_decisions_follow_from_the_seed_and_its_episodes_go_on(
    service: Service, fake: tuple[str, list[str]]
) -> None:
    example = service.schema.example()
    with httpx.Client(base_url=fake[0], headers={KEY_HEADER: FAKE_KEY}, timeout=MINUTE) as client:
        seeded = [client.post(f"predict?seed={seed}", json=example).text for seed in range(40)]
        again = [client.post(f"predict?seed={seed}", json=example).text for seed in range(40)]
        begun = client.post("step", json={"observation": example}).json()
        next_step = {"observation": example, "memory": begun["memory"]}
        gone_on = client.post("step?deterministic=true", json=next_step)
    assert seeded == again
    assert len(set(seeded)) > 1
    assert gone_on.status_code == 200


@JAVA
def test_the_examples_of_the_package_run_against_it(
    toolchain: Java, service: Service, tmp_path: Path
) -> None:
    sdk = service.sdk("java")
    variables = {"POLICY_USER": FAKE_USER, "POLICY_PASSWORD": FAKE_PASSWORD}
    with fake_host(toolchain, service, tmp_path) as (url, recorded):
        given = {**variables, "POLICY_URL": url}
        one = run(toolchain.example(sdk), sdk.folder, given)
        steps = run(toolchain.example(sdk, "episode"), sdk.folder, given)
    assert (one.count("class Prediction {"), steps.count("class Prediction {")) == (1, 3)
    assert recorded == ["POST /predict 200 none", *["POST /step 200 none"] * 3]


@JAVA
def test_the_example_of_the_readme_runs_as_it_is(toolchain: Java, service: Service) -> None:
    sdk = service.sdk("java")
    [shown] = (path for path in sdk.folder.rglob("ExampleFake.java"))
    assert shown.read_text("utf-8") in (sdk.folder / "README.md").read_text("utf-8")
    printed = run(toolchain.example(sdk, "fake"), sdk.folder).splitlines()
    statuses = [200, 200, 503, 200, 409]
    assert printed[:3] == ["true", "1-fake", "/problems/version-conflict"]
    assert printed[3:] == [f"/predict: {status}" for status in statuses]
