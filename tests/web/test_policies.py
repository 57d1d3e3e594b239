"""Several policies in one server: each has its own API, and what is wrong with one is its own."""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support.named_policies import (
    ACTIONS,
    SCHEMA,
    ask,
    copies_of,
    folder_of,
    policies_of,
    url_of,
)
from tests.support.raw_requests import JSON, USER_HEADER, Connection, Request
from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn, run_command

POLICIES = {"left": 1, "right": 2}
OTHER_SCHEMA = "observations:\n  y: {type: int, minimum: 0, maximum: 9}\n"
WORKERS = 2
DEADLINE_SECONDS = 30.0


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return policies_of(tmp_path_factory.mktemp("policies"), POLICIES)


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    with gunicorn(base_path, WORKERS) as running:
        yield running


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def put(server: Server, name: str, schema: str, **query: str) -> requests.Response:
    root = server.url.removesuffix("/api")
    files = {"schema_file": ("schema.yaml", schema.encode())}
    who = (USER, PASSWORD)
    return requests.put(f"{root}/policies/{name}", files=files, params=query, auth=who, timeout=60)


def delete(server: Server, name: str) -> requests.Response:
    return requests.delete(f"{server.url}/policies/{name}", auth=(USER, PASSWORD), timeout=60)


def names(server: Server) -> set[str]:
    return {each["policy"] for each in server.get("policies").json()["policies"]}


def test_each_decides_at_its_own_path_and_the_default_one_at_both(server: Server) -> None:
    found = {name: ask(server, name).json()["action"] for name in (*POLICIES, "default")}
    assert found == {**POLICIES, "default": 0}
    assert server.post("predict", {"x": [1, 2, 3]}).json()["action"] == 0


def test_requests_on_one_connection_are_each_decided_by_the_policy_that_they_name(
    server: Server,
) -> None:
    """Also where the heads are remembered, and all else of the requests is equal."""
    body, paths = json.dumps({"x": [1, 2, 3]}).encode(), {"left": 1, "right": 2, "default": 0}
    with contextlib.closing(Connection(server.port)) as connection:
        for turn in range(60):
            name = list(paths)[turn * turn % 3 if turn % 2 else turn // 4 % 3]
            path = f"/policies/{name}/api/predict".encode()
            answer = connection.send(Request(path, body, (JSON, USER_HEADER)))
            assert json.loads(answer.body)["action"] == paths[name], name


def test_each_has_its_own_specification_ui_and_sdk_address(server: Server) -> None:
    found = requests.get(f"{url_of(server, 'left')}/swagger.json", timeout=60).json()
    assert found["basePath"] == "/policies/left/api"
    assert found["info"]["title"] == "left"
    assert not [path for path in found["paths"] if path.startswith("/policies")]
    assert "/policies/{policy}" in server.get("swagger.json").json()["paths"]
    root = server.url.removesuffix("/api")
    page = requests.get(f"{root}/policies/left/", timeout=60)
    assert page.url == f"{root}/policies/left/api/ui/"
    assert "<title>left" in page.text


def test_a_policy_is_made_filled_listed_and_removed(server: Server, tmp_path: Path) -> None:
    made = put(server, "third", SCHEMA, title="The third")
    assert made.status_code == 200, made.text
    assert made.json()["path"] == "/policies/third"
    assert put(server, "third", SCHEMA).json()["title"] == "The third"  # and is left as it is
    answer = ask(server, "third")
    assert (answer.status_code, answer.json()["title"]) == (503, "No active policy")
    folder = folder_of(tmp_path / "third", 3)
    model = {"model_file": (folder / "model.onnx").read_bytes()}
    url, who = url_of(server, "third"), (USER, PASSWORD)
    uploaded = requests.post(f"{url}/model", files=model, auth=who, timeout=120)
    assert uploaded.json()["state"] == "active", uploaded.text
    until(lambda: [ask(server, "third").json().get("action") for _ in range(8)] == [3] * 8)
    (listed,) = (e for e in server.get("policies").json()["policies"] if e["policy"] == "third")
    assert listed["version"] == uploaded.json()["version"]
    assert 1 <= listed["workers"] <= WORKERS  # those that were asked
    assert delete(server, "third").status_code == 204
    assert put(server, "third", OTHER_SCHEMA).status_code == 200  # another policy of this name
    until(lambda: ask(server, "third", json={"y": 3}).json()["title"] == "No active policy")
    until(lambda: ask(server, "third").status_code in (400, 503))
    assert delete(server, "third").status_code == 204
    assert "third" not in names(server)
    until(lambda: ask(server, "third").status_code == 404)
    assert delete(server, "third").json()["title"] == "No such policy"
    audited = [each["operation"] for each in server.get("audit").json()["entries"]]
    assert {"create_policy", "delete_policy"} <= {*audited}


@pytest.mark.parametrize(
    ("name", "schema", "status", "words"),
    [
        ("left", OTHER_SCHEMA, 409, "a policy left already"),
        ("Left", SCHEMA, 409, "a-z"),
        ("default", SCHEMA, 409, "a-z"),
        ("-a", SCHEMA, 409, "a-z"),
        ("a" * 64, SCHEMA, 409, "63"),
        ("..", SCHEMA, 404, "nothing at this path"),
        ("fourth", "observations: {x: {type: nonsense}}", 422, "nonsense"),
        ("fourth", "", 400, "empty"),
    ],
)
def test_what_can_be_no_policy_is_refused_and_nothing_is_made(
    server: Server, base_path: Path, name: str, schema: str, status: int, words: str
) -> None:
    before = sorted(path.name for path in (base_path / "policies").iterdir())
    address = f"{server.url}/policies/{name}"
    request = requests.Request("PUT", address, files={"schema_file": ("s.yaml", schema.encode())})
    request.auth = (USER, PASSWORD)
    prepared = request.prepare()
    prepared.url = address  # requests would resolve the dots
    with requests.Session() as session:
        answer = session.send(prepared, timeout=60)
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert sorted(path.name for path in (base_path / "policies").iterdir()) == before


def test_a_key_of_a_policy_is_for_it_alone_and_one_of_the_server_for_all(
    server: Server, base_path: Path
) -> None:
    added = run_command("key", "add", "robot", "--policy", "left", base_path=base_path)
    (key,) = re.findall(r"psk_\S+", added.stdout)

    def asked(policy: str, secret: str) -> int:
        return ask(server, policy, auth=None, headers={"X-API-Key": secret}).status_code

    until(lambda: asked("left", key) == 200)
    assert asked("right", key) == asked("default", key) == 401
    assert [asked(policy, KEY) for policy in ("left", "right", "default")] == [200] * 3
    run_command("key", "remove", "robot", "--policy", "left", base_path=base_path)
    until(lambda: asked("left", key) == 401)


def test_what_a_path_takes_is_told_whole(server: Server) -> None:
    """Two operations lie at it."""
    answer = requests.patch(f"{server.url}/policies/left", timeout=60)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "DELETE, PUT")


def test_who_may_not_manage_makes_and_removes_nothing(server: Server) -> None:
    given = {"headers": {"X-API-Key": KEY}, "timeout": 60}
    for method in ("put", "delete"):
        answer = requests.request(method, f"{server.url}/policies/left", **given)  # type: ignore[arg-type]
        assert answer.status_code in (400, 403), answer.text
    assert requests.get(f"{server.url}/policies", timeout=60).status_code == 401
    assert "left" in names(server)


def test_logs_metrics_and_health_name_the_policy(server: Server) -> None:
    for _ in range(4):
        assert ask(server, "left").status_code == 200
    until(lambda: _statuses(server).get("left") == "ok")
    assert _statuses(server)["default"] == "ok"
    metrics = requests.get(server.url.replace("/api", "/metrics"), timeout=60).text
    counted = re.findall(r'requests_total{policy="left",operation="predict".*} ([0-9]+)', metrics)
    assert sum(map(int, counted)) >= 4
    assert ask(server, "left", json={"x": [1]}).status_code == 400
    assert ask(server, "left", headers={"X-Policy-Version": "9-none"}).status_code == 409


def _statuses(server: Server) -> dict[str, str]:
    health = server.get("health/ready").json()
    return {each["policy"]: each["status"] for each in health["policies"]}


def test_each_is_a_model_of_other_protocols(server: Server) -> None:
    root, who = server.url.removesuffix("/api"), (USER, PASSWORD)
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}
    url = f"{root}/v2/models/right/infer"
    answer = requests.post(url, json={"inputs": [tensor]}, auth=who, timeout=60).json()
    assert answer["model_name"] == "right"
    (action,) = (each["data"] for each in answer["outputs"] if each["name"] == "action")
    assert action == [2]
    url = f"{root}/v1/models/left:predict"
    rows = requests.post(url, json={"instances": [{"x": [1, 2, 3]}]}, auth=who, timeout=60).json()
    assert [each["action"] for each in rows["predictions"]] == [1]
    index = requests.post(f"{root}/v2/repository/index", json={}, auth=who, timeout=60).json()
    assert [each["name"] for each in index] == ["default", *sorted(names(server))]
    assert {each["state"] for each in index if each["name"] in POLICIES} == {"READY"}
    listed = requests.get(f"{root}/v1/models", auth=who, timeout=60).json()
    assert listed == {"models": [each["name"] for each in index]}
    missing = requests.get(f"{root}/v2/models/none", auth=who, timeout=60)
    assert (missing.status_code, [*missing.json()]) == (404, ["error"])


def test_what_is_wrong_with_one_is_told_of_it_and_touches_no_other(tmp_path: Path) -> None:
    base = policies_of(tmp_path, POLICIES)
    lacking, torn = copies_of(base, "left", 2)
    (base / "policies" / lacking / "contract.json").unlink()
    (base / "policies" / lacking / "active").unlink()
    for file in (base / "policies" / torn / "versions").rglob("*.onnx"):
        file.write_bytes(file.read_bytes()[:100])
    with gunicorn(base) as server:
        answers = [ask(server, name) for name in (lacking, torn)]
        assert [each.status_code for each in answers] == [503, 503]
        assert lacking in answers[0].json()["detail"]
        assert "damaged" in answers[1].json()["detail"]
        assert [ask(server, name).json()["action"] for name in POLICIES] == [1, 2]
        statuses = _statuses(server)
        assert {statuses[name] for name in (lacking, torn)} == {"unavailable"}
        assert statuses["default"] == server.get("health/ready").json()["status"] == "ok"


def test_those_that_nobody_asks_make_room_and_come_back(tmp_path: Path) -> None:
    base = policies_of(tmp_path, {"one": 1})
    copies = copies_of(base, "one", 5)
    with gunicorn(base, POLICY_SERVER_POLICIES_MEGABYTES="3") as server:
        for _ in range(3):
            assert [ask(server, name).json()["action"] for name in copies] == [1] * 5
        until(lambda: [*_statuses(server).values()].count("ok") <= 3)  # and the default one
        log = server.log.read_text()
    assert log.count("others were asked since") >= 5
    with gunicorn(base, POLICY_SERVER_POLICY_IDLE_SECONDS="1") as server:
        assert ask(server, "one").status_code == 200
        until(lambda: _statuses(server)["one"] == "idle")
        assert ask(server, "one").json()["action"] == 1


def test_the_command_publishes_to_a_running_server_and_makes_the_policy(
    server: Server, base_path: Path, tmp_path: Path
) -> None:
    folder, url = folder_of(tmp_path / "remote", ACTIONS - 1), server.url
    given = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD}
    command = ("publish", folder, "--policy", "remote", "--url", url)
    done = run_command(*command, base_path=base_path, **given)
    assert done.returncode == 0, done.stderr
    assert ask(server, "remote").json()["action"] == ACTIONS - 1
    assert run_command(*command, base_path=base_path, **given).returncode == 0  # once more
    removed = run_command("policy", "remove", "remote", base_path=base_path)
    assert "is gone" in removed.stdout
    until(lambda: ask(server, "remote").status_code == 404)
