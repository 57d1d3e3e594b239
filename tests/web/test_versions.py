"""Versions over HTTP: listed, gone back to, compared, removed, and refused with the reason."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from tests.support.server import KEY, PASSWORD, ROOT, USER, Server, gunicorn

WORKERS = 2
MAPPERS = [
    "\n".join(f"{action}: {word} {action}" for action in range(5)).encode()
    for word in ("one", "two", "three", "four")
]
SCHEMA = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text())
OBSERVATIONS = list(random_observations(SCHEMA, 8, seed=1))


@pytest.fixture
def server(lpoc_instance: Path) -> Iterator[Server]:
    with gunicorn(lpoc_instance, WORKERS, POLICY_SERVER_KEEP_VERSIONS="3") as server:
        yield server


def upload(server: Server, mapper: bytes) -> str:
    answer = server.upload("outputmapper", "output_mapper_file", mapper)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["version"])


def listed(server: Server) -> dict[str, Any]:
    answer = server.get("versions")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def states(server: Server) -> dict[str, str]:
    return {version["version"]: version["state"] for version in listed(server)["versions"]}


def delete(server: Server, version: str) -> requests.Response:
    return requests.delete(f"{server.url}/versions/{version}", auth=(USER, PASSWORD), timeout=60)


def serving(server: Server, version: str) -> bool:
    """All workers decide with a version, within a second."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        if [worker["version"] for worker in listed(server)["workers"]] == [version] * WORKERS:
            return True
        time.sleep(0.02)
    return False


def test_versions_come_go_and_are_gone_back_to(server: Server) -> None:
    (first,) = states(server)
    second = upload(server, MAPPERS[0])
    assert serving(server, second)
    assert states(server) == {first: "complete", second: "active"}
    back = server.post(f"versions/{first}/activate", None)
    assert back.json()["state"] == "active"
    assert serving(server, first)
    meanings = {server.post("predict", each).json()["meaning"] for each in OBSERVATIONS}
    assert not any(meaning.startswith("one") for meaning in meanings)
    assert delete(server, first).status_code == 409
    gone = delete(server, second)
    assert (gone.status_code, gone.content) == (204, b"")
    assert delete(server, second).status_code == 404
    assert server.post(f"versions/{second}/activate", None).status_code == 404
    assert states(server) == {first: "active"}


def test_a_version_is_told_with_all_that_is_known(server: Server) -> None:
    upload(server, MAPPERS[0])
    found = listed(server)
    command_line, uploaded = found["versions"]
    assert (command_line["created_by"], uploaded["created_by"]) == ("the command line", USER)
    assert found["active"] == uploaded["version"]
    assert uploaded["parts"] == ["golden", "model", "output_mapper", "preprocessor"]
    assert uploaded["engine"] == "onnx"
    assert {check["name"] for check in uploaded["checks"]} >= {"model", "width", "meanings"}
    assert uploaded["bytes"] > 1000
    created = [datetime.fromisoformat(version["created"]) for version in found["versions"]]
    assert created[0] <= created[1]
    assert created[0].utcoffset() is not None


def test_the_oldest_go_by_themselves(server: Server) -> None:
    (first,) = states(server)
    second, third, fourth = [upload(server, mapper) for mapper in MAPPERS[:3]]
    assert serving(server, fourth)
    assert states(server).keys() == {first, second, third, fourth}, "three, and the first"
    fifth = upload(server, MAPPERS[3])
    assert serving(server, fifth)
    assert states(server).keys() == {first, third, fourth, fifth}
    assert upload(server, MAPPERS[1]) == third
    assert states(server)[third] == "active"


def test_versions_are_compared_without_being_activated(server: Server) -> None:
    (first,) = states(server)
    second = upload(server, MAPPERS[0])
    assert serving(server, second)
    body = {"observations": OBSERVATIONS}
    answers = {
        version: server.post(
            f"versions/{version}/predict_batch", body, params={"deterministic": "true"}
        )
        for version in (first, second)
    }
    for version, answer in answers.items():
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Policy-Version"] == version
    old, new = (answer.json()["predictions"] for answer in answers.values())
    assert [prediction["action"] for prediction in old] == [
        prediction["action"] for prediction in new
    ]
    assert all(prediction["meaning"].startswith("one ") for prediction in new)
    assert not any(prediction["meaning"].startswith("one ") for prediction in old)
    active = server.post("predict_batch", body, params={"deterministic": "true"})
    assert active.json()["predictions"] == new
    singles = [server.post("predict_deterministic", each).json() for each in OBSERVATIONS]
    assert [single["action"] for single in singles] == [each["action"] for each in new]
    seeded = server.post(f"versions/{first}/predict_batch", body, params={"seed": 4})
    again = server.post(f"versions/{first}/predict_batch", body, params={"seed": 4})
    assert seeded.json() == again.json()
    assert server.post("versions/9-absent/predict_batch", body).status_code == 404


def test_only_managers_see_and_change_versions(server: Server) -> None:
    (first,) = states(server)
    for method, path in (
        ("GET", "versions"),
        ("DELETE", f"versions/{first}"),
        ("POST", f"versions/{first}/activate"),
        ("POST", f"versions/{first}/predict_batch"),
    ):
        statuses = Counter(
            requests.request(
                method,
                f"{server.url}/{path}",
                headers=headers,
                json={"observations": []} if path.endswith("batch") else None,
                timeout=30,
            ).status_code
            for headers in ({}, {"X-API-Key": KEY})
        )
        assert statuses == {401: 1, 403: 1}, path
