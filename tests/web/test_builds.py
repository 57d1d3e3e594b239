"""Builds that go on behind an answer: every worker knows them, whoever leaves or dies meanwhile."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.processes import answers, running
from tests.support.networks import linear_onnx
from tests.support.nginx import nginx_command
from tests.support.server import (
    KEY,
    PASSWORD,
    ROOT,
    USER,
    Server,
    free_port,
    gunicorn,
    publish,
    run_command,
)

SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"
LATER = {"Prefer": "respond-async"}
MAPPER = b"0: cold\n1: warm\n"
SLOW = """\
import time
time.sleep(%s)
def preprocess(observation):
    return [observation["warmth"]]
"""
ENDLESS = (SLOW % 600).encode()
PATIENCE = 120.0
"""Far longer than any build of these takes."""
TICK = 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy, and the BASE_PATH in which it decides."""
    made = tmp_path_factory.mktemp("builds")
    (made / "schema.yaml").write_text(SCHEMA)
    (made / "policy.onnx").write_bytes(linear_onnx(1, 2))
    publish(made, made / "instance")
    return made


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with gunicorn(folder / "instance", 2) as made:
        yield made


def upload(server: Server, content: bytes, part: str = "output_mapper", **headers: str) -> Any:
    operation = part.replace("_", "")
    given = {**LATER, **headers}
    return server.upload(operation, f"{part}_file", content, headers=given)


def begun(answer: requests.Response) -> str:
    """The id of a build that an answer says has begun."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["Preference-Applied"] == "respond-async"
    name = str(answer.json()["build"])
    assert answer.headers["Location"] == f"/api/builds/{name}"
    assert int(answer.headers["Retry-After"]) >= 1
    return name


def ended(server: Server, name: str) -> Any:
    """What is known of a build once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while (build := server.get(f"builds/{name}").json())["state"] == "running":
        assert time.monotonic() < deadline, build
        assert server.get(f"builds/{name}/answer").status_code in (200, 202, 409, 422, 500)
        time.sleep(TICK)
    return build


def await_step(server: Server, name: str, count: int = 2) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(server.get(f"builds/{name}").json()["steps"]) < count:
        assert time.monotonic() < deadline
        time.sleep(TICK)


def workers(server: Server) -> list[int]:
    pid = server.process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_build_says_what_it_does_and_then_what_would_have_been_answered(server: Server) -> None:
    name = begun(upload(server, MAPPER))
    build = ended(server, name)
    assert (build["state"], build["status"]) == ("succeeded", 200)
    assert (build["operation"], build["created_by"]) == ("upload_output_mapper", USER)
    steps = [step["name"] for step in build["steps"]]
    assert steps[0] == "waiting for its turn"
    assert len(steps) > 2
    begins = [build["created"], *(step["began"] for step in build["steps"]), build["ended"]]
    assert begins == sorted(begins)
    at_once = server.upload("outputmapper", "output_mapper_file", MAPPER)  # the same version
    answer = server.get(f"builds/{name}/answer")
    assert answer.status_code == at_once.status_code == 200
    assert answer.json() == at_once.json() == build["report"]
    assert server.get("versions").json()["active"] == build["report"]["version"]


def test_every_worker_knows_every_build(server: Server) -> None:
    name = begun(upload(server, MAPPER + b"# another\n"))
    ended(server, name)
    for _ in range(20):  # each by a connection of its own: the workers take turns
        with requests.Session() as session:
            answer = session.get(f"{server.url}/builds/{name}", auth=(USER, PASSWORD), timeout=60)
            assert answer.json()["state"] == "succeeded"
    listed = server.get("builds").json()["builds"]
    assert listed[0]["build"] == name
    times = [each["created"] for each in listed]
    assert times == sorted(times, reverse=True)


def test_a_refused_build_has_the_problem_that_its_request_would_have_had(server: Server) -> None:
    wrong = b"0: cold\n"
    build = ended(server, begun(upload(server, wrong, **{"X-Request-Id": "order-66"})))
    assert (build["state"], build["status"]) == ("failed", 422)
    assert build["problem"]["instance"] == "order-66"
    answer = server.get(f"builds/{build['build']}/answer")
    at_once = server.upload("outputmapper", "output_mapper_file", wrong)
    assert answer.status_code == at_once.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    instance = {"instance": ""}
    assert {**answer.json(), **instance} == {**at_once.json(), **instance}


def test_activations_verifications_and_whole_policies_may_be_asked_for_later(
    folder: Path, server: Server
) -> None:
    versions = [each["version"] for each in server.get("versions").json()["versions"]]
    activated = ended(
        server, begun(server.post(f"versions/{versions[0]}/activate", None, headers=LATER))
    )
    assert activated["report"] == {**activated["report"], "version": versions[0], "state": "active"}
    refused = ended(
        server, begun(server.post(f"versions/{versions[0]}/verify", None, headers=LATER))
    )
    assert (refused["status"], "golden cases" in refused["problem"]["detail"]) == (409, True)
    files = {
        "model_file": ("policy.onnx", (folder / "policy.onnx").read_bytes()),
        "schema_file": ("schema.yaml", SCHEMA.replace("warmth", "heat").encode()),
    }
    where, auth = f"{server.url}/policy", (USER, PASSWORD)
    whole = server.session.post(where, files=files, headers=LATER, auth=auth, timeout=60)
    assert ended(server, begun(whole))["state"] == "succeeded"
    deadline = time.monotonic() + PATIENCE
    while server.post("predict", {"heat": 20.0}).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(TICK)
    files["schema_file"] = ("schema.yaml", SCHEMA.encode())
    server.session.post(where, files=files, auth=auth, timeout=60).raise_for_status()


@pytest.mark.parametrize(
    ("value", "later"),
    [
        ("respond-async", True),
        ("Respond-Async, wait=10", True),
        ('return=minimal, respond-async; x="y"', True),
        ("wait=10", False),
        ("return=respond-async", False),
        ("", False),
    ],
)
def test_the_preference_is_read_as_rfc_7240_writes_it(
    server: Server, value: str, later: bool
) -> None:
    answer = upload(server, MAPPER, Prefer=value)
    assert answer.status_code == (202 if later else 200)
    assert ("Preference-Applied" in answer.headers) is later
    if later:
        ended(server, begun(answer))


def test_what_takes_no_time_is_answered_at_once(server: Server) -> None:
    answer = server.post("predict", {"warmth": 20.0}, headers=LATER)
    assert answer.status_code == 200
    assert "Preference-Applied" not in answer.headers


def test_builds_are_for_managers(server: Server) -> None:
    name = begun(upload(server, MAPPER))
    for path in ("builds", f"builds/{name}", f"builds/{name}/answer"):
        assert server.get(path, auth=None).status_code == 401
        answer = server.get(path, auth=None, headers={"X-API-Key": KEY})
        assert answer.status_code == 403
    assert ended(server, name)["state"] == "succeeded"


@pytest.mark.parametrize("name", ["x", "A" * 16, "..%2f..%2factive", "../active", "%00", "ä" * 16])
def test_what_is_no_build_is_not_found(server: Server, name: str) -> None:
    for path in (f"builds/{name}", f"builds/{name}/answer"):
        assert server.get(path).status_code == 404


def test_the_audit_log_has_the_beginning_and_the_end(server: Server) -> None:
    accepted = upload(server, MAPPER + b"# audited\n", **{"X-Request-Id": "audited-1"})
    build = ended(server, begun(accepted))
    deadline = time.monotonic() + PATIENCE
    while True:
        entries = [
            each
            for each in server.get("audit").json()["entries"]
            if each.get("request") == "audited-1"
        ]
        if len(entries) == 2:
            break
        assert time.monotonic() < deadline
        time.sleep(TICK)
    end, begin = entries
    assert (begin["outcome"], begin["status"]) == ("begun", 202)
    assert (end["outcome"], end["status"]) == ("done", 200)
    assert end["subject"] == build["report"]["version"]
    assert begin["hashes"][0] in end["hashes"]
    assert {each["name"] for each in end["hashes"]} == {"output_mapper", "version"}


def test_a_build_whose_worker_dies_has_failed_and_says_so(folder: Path, tmp_path: Path) -> None:
    with gunicorn(folder / "instance", 1) as server:
        name = begun(upload(server, ENDLESS, "preprocessor"))
        await_step(server, name)
        before = server.get("versions").json()["active"]
        for pid in workers(server):
            os.kill(pid, signal.SIGKILL)
        server.session.close()  # of connections to it
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                build = server.get(f"builds/{name}").json()
                break
            except requests.ConnectionError:
                assert time.monotonic() < deadline
                time.sleep(TICK)
        assert (build["state"], build["status"]) == ("failed", 500)
        assert "was killed" in build["problem"]["detail"]
        assert server.get(f"builds/{name}/answer").status_code == 500
        assert server.get("versions").json()["active"] == before
        assert ended(server, begun(upload(server, MAPPER)))["state"] == "succeeded"


def test_a_server_that_stops_ends_its_builds_and_says_so(folder: Path) -> None:
    with gunicorn(folder / "instance", 1) as server:
        name = begun(upload(server, ENDLESS, "preprocessor"))
        await_step(server, name)
        begin = time.monotonic()
    assert time.monotonic() < begin + 30
    assert server.process.returncode == 0
    with gunicorn(folder / "instance", 1) as again:
        build = again.get(f"builds/{name}").json()
    assert (build["state"], build["status"]) == ("failed", 503)
    assert build["problem"]["title"] == "Stopping"


def test_only_so_many_go_on_at_a_time(folder: Path) -> None:
    with gunicorn(folder / "instance", 1) as server:
        taken = [upload(server, ENDLESS + b"#%d" % each, "preprocessor") for each in range(5)]
        assert [each.status_code for each in taken] == [202, 202, 202, 202, 503]
        assert int(taken[-1].headers["Retry-After"]) >= 1
        assert server.post("predict", {"warmth": 20.0}).status_code == 200


def test_where_no_build_can_be_recorded_nothing_is_begun(folder: Path, tmp_path: Path) -> None:
    base_path = shutil.copytree(folder / "instance", tmp_path / "instance")
    shutil.rmtree(base_path / "builds", ignore_errors=True)
    (base_path / "builds").write_text("a file where a folder should be")
    with gunicorn(base_path, 1) as server:
        answer = upload(server, MAPPER)
        assert answer.status_code == 507
        assert "waits for the build" in answer.json()["detail"]
        assert server.upload("outputmapper", "output_mapper_file", MAPPER).status_code == 200


SITE = """
server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{
        proxy_pass http://127.0.0.1:{server};
        proxy_read_timeout {seconds}s;
        {more}
    }}
}}
"""


@pytest.mark.parametrize(
    ("seconds", "more", "load_seconds"),
    [(5, "", 4.5), (300, 'proxy_set_header Prefer "";', 0.0)],
    ids=["impatient", "of a server that knows no builds"],
)
def test_publish_passes_an_impatient_proxy(
    folder: Path, server: Server, tmp_path: Path, seconds: int, more: str, load_seconds: float
) -> None:
    policy, proxy = tmp_path / "policy", free_port()
    policy.mkdir()
    (policy / "policy.onnx").write_bytes((folder / "policy.onnx").read_bytes())
    # It is loaded twice: to be tried, and to serve.
    (policy / "preprocessor.py").write_text(SLOW % load_seconds + f"# {seconds}\n")
    before = [each["build"] for each in server.get("builds").json()["builds"]]
    site = SITE.format(port=proxy, server=server.port, seconds=seconds, more=more)
    command = nginx_command(tmp_path, site)
    with running(command, tmp_path, {}, answers(f"http://127.0.0.1:{proxy}/api/health/live")):
        done = remote(policy, proxy)
    assert done.returncode == 0, done.stderr
    assert "is active" in done.stdout
    made = [each for each in server.get("builds").json()["builds"] if each["build"] not in before]
    if more:
        assert not made
        assert not done.stderr
        return
    (build,) = made
    took = datetime.fromisoformat(build["ended"]) - datetime.fromisoformat(build["created"])
    assert took.total_seconds() > seconds
    shown = [line.partition(" s  ")[2] for line in done.stderr.splitlines()]
    assert shown == [f"{step['name']} ..." for step in build["steps"]]


def remote(policy: Path, port: int) -> Any:
    asked = ("--url", f"http://127.0.0.1:{port}", "--user", USER, "--password", PASSWORD)
    return run_command("publish", policy, *asked, base_path=policy / "unused")


def test_publish_tells_what_a_build_was_refused_for(
    folder: Path, server: Server, tmp_path: Path
) -> None:
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "policy.onnx").write_bytes((folder / "policy.onnx").read_bytes())
    (policy / "output_mapper.yaml").write_text("0: cold\n")
    done = remote(policy, server.port)
    assert done.returncode == 2
    assert "action 1" in done.stderr
    assert (ROOT / "generate.py").is_file()
