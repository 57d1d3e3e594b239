"""What every SDK does, in every language, for every kind of action, against real servers."""

import re
import shutil
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from policy_server.clients.names import identifiers
from policy_server.contract.fields.bounded import Bounded
from tests.clients.conftest import Drive, Results, Service, Step
from tests.clients.strangers import REDIRECTS, answering, pointing_to
from tests.clients.suite import (
    answered,
    by_name,
    own_answer,
    own_answers,
    predict_steps,
    step,
    without_version,
)
from tests.clients.toolchains import Toolchain, run
from tests.clients.witness import Witness
from tests.support.server import KEY, PASSWORD, ROOT, USER, gunicorn

LEAVE_SECONDS = 30.0
UPLOADS = {
    "lpoc": ("output_mapper", "examples/lpoc/output_mapper.yaml"),
    "tuple": ("preprocessor", "examples/simple_stochastic_tuple/preprocessor.py"),
    "thermostat": ("preprocessor", "examples/thermostat/preprocessor.py"),
    "names": ("preprocessor", "tests/clients/names/preprocessor.py"),
}


def invalid(service: Service) -> tuple[dict[str, Any], str]:
    """An observation with one number out of bounds, and the pointer to it."""
    example = dict(service.schema.example() or {})
    name, maximum = next(
        (name, field.maximum)
        for name, field in service.schema.fields.items()
        if isinstance(field, Bounded) and field.maximum is not None
    )
    return {**example, name: maximum + 1}, f"/{name}"


@pytest.fixture(scope="module")
def results(drive: Drive, service: Service) -> dict[str, Results]:
    """What came of the steps of the suite, by their name; one run of the driver a service."""
    wrong, _ = invalid(service)
    example = service.schema.example()
    suite: dict[str, list[Step]] = {
        **predict_steps(service),
        "empty": [step("predict_batch", observations=[])],
        "schema": [step("schema")],
        "credentials": [
            step("predict", client, observation=example, seed=1) for client in ("key", "token")
        ],
        "wrong password": [step("predict", "wrong", observation=example)],
        "invalid": [step("predict", observation=wrong)],
        "wrong width": [step("predict_raw", obs=[0.5])],
        "nowhere": [step("predict", "nowhere", observation=example)],
    }
    return by_name(suite, drive(service, [each for steps in suite.values() for each in steps]))


@pytest.mark.parametrize("name", ["predict", "deterministic", "distribution", "batch"])
def test_decisions_and_distributions_are_those_of_the_server(
    results: dict[str, Results], service: Service, name: str
) -> None:
    expected = own_answers(service, predict_steps(service)[name])
    assert without_version(answered(results[name])) == expected


@pytest.mark.parametrize("name", ["predict", "deterministic", "distribution", "batch", "empty"])
def test_every_answer_says_which_version_decided(
    results: dict[str, Results], service: Service, name: str
) -> None:
    answer = service.server.post("predict", service.schema.example())
    decided = answer.headers["X-Policy-Version"]
    assert {each["policy_version"] for each in answered(results[name])} == {decided}


def test_an_empty_batch_is_answered(results: dict[str, Results]) -> None:
    assert without_version(answered(results["empty"])) == [{"predictions": []}]


def test_the_schema_is_read(results: dict[str, Results], service: Service) -> None:
    assert answered(results["schema"]) == [service.schema.text]


def test_keys_are_sent_as_header_and_as_token(
    results: dict[str, Results], service: Service
) -> None:
    expected = own_answer(service, "predict", service.schema.example(), seed=1)
    assert without_version(answered(results["credentials"])) == [expected, expected]


def test_a_wrong_password_is_an_error_of_its_own(results: dict[str, Results]) -> None:
    assert results["wrong password"] == [{"refused": {"status": 401, "pointers": []}}]


def test_an_invalid_observation_is_refused_with_its_pointer(
    results: dict[str, Results], service: Service, toolchain: Toolchain
) -> None:
    _, pointer = invalid(service)
    (result,) = results["invalid"]
    # In Python the bounds are checked before anything is sent.
    status = 0 if toolchain.language == "python" else 400
    assert result == {"refused": {"status": status, "pointers": [pointer]}}


def test_what_only_the_server_knows_is_refused_with_its_pointer(
    results: dict[str, Results],
) -> None:
    assert results["wrong width"] == [{"refused": {"status": 400, "pointers": ["/obs"]}}]


def test_a_server_that_is_not_there_is_an_error_of_its_own(results: dict[str, Results]) -> None:
    assert results["nowhere"] == [{"unreachable": True}]


def misspelt(service: Service, *, camel: bool = False) -> list[dict[str, Any]]:
    """Observations with one field too many: what each field is nearly called, in two ways."""
    example = dict(service.schema.example() or {})
    names = identifiers(service.schema.fields, camel=camel)
    spelt = {names[name]: value for name, value in example.items()}
    last = list(names.values())[-1]
    known = {*spelt, *names.values(), *service.schema.fields}
    return [{**spelt, name: True} for name in (f"{last}x", last[:-1]) if name not in known]


def unsaid(result: dict[str, Any], names: Collection[str]) -> list[str]:
    """The names that an error says nothing of."""
    return [name for name in names if name not in result["unknown"]]


def test_unknown_fields_are_refused_before_anything_is_sent(
    drive: Drive, service: Service, toolchain: Toolchain
) -> None:
    example = service.schema.example()
    unknown = {**(example or {}), "unknown_field": True}
    # In Java and Scala no other field can be spelt; what is left is to read JSON.
    in_code = toolchain.language in ("python", "r", "typescript")
    camel = toolchain.language == "typescript"
    named = misspelt(service, camel=camel) if in_code else [unknown]
    read = [
        *(step(asked, observation=unknown) for asked in ("predict", "distribution")),
        step("predict_batch", observations=[example, unknown]),
    ]
    made = [step("construct", observation=each) for each in named]
    if toolchain.language == "python":
        made.append(step("change", observation=example, update=unknown))
        named.append(unknown)
    stranger = answering({})
    with stranger.serving():
        results = drive(service, read + made, stranger.url)
    assert stranger.received == []
    for result in results[: len(read)]:
        assert "unknown_field" in result["unknown"]
        assert unsaid(result, service.schema.fields) == []
    for each, result in zip(named, results[len(read) :], strict=True):
        assert list(each)[-1] in result["unknown"]
        if camel:
            assert unsaid(result, identifiers(service.schema.fields, camel=True).values()) == []


@pytest.mark.parametrize("client", ["user", "key", "token"])
def test_no_redirect_is_followed(
    drive: Drive, services: Mapping[str, Service], client: str, tmp_path: Path
) -> None:
    service = services["lpoc"]
    file = tmp_path / "output_mapper.yaml"
    file.write_text("{}")
    asked = [
        step("predict", client, observation=service.schema.example()),
        step("schema", client),
        step("upload_output_mapper", client, file=str(file)),
    ]
    elsewhere = answering(own_answer(service, "predict", service.schema.example()))
    pointing = pointing_to(elsewhere.url)
    with elsewhere.serving(), pointing.serving():
        results = drive(service, asked * len(REDIRECTS), pointing.url)
    assert elsewhere.received == []
    assert len(pointing.received) == len(results)
    for result, status in zip(results, REDIRECTS * len(asked), strict=True):
        assert result["redirected"] == status
        assert elsewhere.url in result["message"]
        assert "follows no redirects" in result["message"]


def test_decisions_at_the_same_time_each_have_their_own_version(
    drive: Drive, services: Mapping[str, Service]
) -> None:
    service, count = services["lpoc"], 200
    answer = own_answer(service, "predict", service.schema.example())
    asked = step("versions_of", observation=service.schema.example(), count=count)
    # A newer server says more than this client knows.
    newer = answering({**answer, "later": {"more": [1]}, "policy": None})
    with newer.serving():
        (versions,) = answered(drive(service, [asked], newer.url))
    assert versions == [f"{seed}-0f" for seed in range(count)]


def test_the_example_runs_as_it_is_shipped(toolchain: Toolchain, service: Service) -> None:
    sdk = service.sdk(toolchain.language)
    asks = {"POLICY_URL": service.server.url, "POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}
    with_key = {"POLICY_URL": service.server.url, "POLICY_KEY": KEY}
    for variables in (asks, with_key):
        printed = run(toolchain.example(sdk), sdk.folder, {**toolchain.variables(), **variables})
        assert re.search(r"\d", printed), printed
    head = own_answer(service, "distribution", service.schema.example()).get("heads", [{}])[0]
    meanings = head.get("meanings", [""])
    assert any(meaning in printed for meaning in meanings)


def test_versions_are_uploaded_listed_gone_back_from_and_removed(
    drive: Drive, service: Service, tmp_path: Path
) -> None:
    part, file = UPLOADS[service.name]
    other = tmp_path / Path(file).name
    other.write_text((ROOT / file).read_text() + "# Of other content.\n")
    active = service.base_path / "active"
    before = active.read_text().strip()
    (report,) = answered(drive(service, [step(f"upload_{part}", file=str(other))]))
    assert report["state"] == "active"
    assert all(check["passed"] for check in report["checks"])
    uploaded = report["version"]
    assert uploaded == active.read_text().strip() != before
    steps = [step("versions"), step("activate_version", version=before)]
    listed, activated = answered(drive(service, steps))
    assert listed["active"] == uploaded
    assert {before, uploaded} <= {each["version"] for each in listed["versions"]}
    assert (activated["version"], activated["state"]) == (before, "active")
    assert active.read_text().strip() == before
    deadline = time.monotonic() + LEAVE_SECONDS
    while {each["version"]: each["workers"] for each in versions(service)}[uploaded]:
        assert time.monotonic() < deadline, "the worker still decides with what was left"
        time.sleep(0.05)
    steps = [step("delete_version", version=name) for name in (before, uploaded)]
    refused, removed = drive(service, steps)
    assert refused == {"refused": {"status": 409, "pointers": []}}
    assert removed == {"ok": None}
    assert uploaded not in [each["version"] for each in versions(service)]


def versions(service: Service) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = service.server.get("versions").json()["versions"]
    return listed


def test_a_service_that_cannot_answer_yet_is_asked_again(
    drive: Drive, services: Mapping[str, Service], tmp_path: Path
) -> None:
    service = services["lpoc"]
    base_path = Path(shutil.copytree(service.base_path, tmp_path / "instance"))
    active = (base_path / "active").rename(tmp_path / "active")
    body = service.schema.example()
    steps = [{"do": "predict", "client": "patient", "observation": body, "seed": 1}]
    with gunicorn(base_path) as server, ThreadPoolExecutor(1) as pool:
        witness = Witness(tmp_path, server)
        with witness.watching():
            results = pool.submit(drive, service, steps, witness.url)
            witness.await_answer()
            active.rename(base_path / "active")
            (answer,) = results.result()
            expected = server.post("predict", body, params={"seed": 1}).json()
            assert without_version(answered([answer])) == [expected]
            *refused, last = witness.statuses()
    assert set(refused) == {503}
    assert last == 200
