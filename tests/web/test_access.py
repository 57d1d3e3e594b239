"""Users and keys over HTTP, in two workers: who is added may ask, who is removed may not."""

import base64
import contextlib
import hashlib
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.access.keys import hash_key, new_key
from policy_server.access.passwords import hash_password
from policy_server.access.records import KeyRecord, UserRecord, keys_file, now, users_file
from tests.support.networks import linear_onnx
from tests.support.raw_requests import JSON, Connection, Header, Request
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish, run_command

SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"
OBSERVATION = {"warmth": 1}
WORKERS, CONNECTIONS = 2, 8
HOLDS_SECONDS = 1.0
"""Within which a change holds in every worker."""
GIVEN_KEY = "a-key-in-a-file-of-secrets"


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("access")
    (folder / "policy").mkdir()
    (folder / "policy" / "schema.yaml").write_text(SCHEMA)
    (folder / "policy" / "policy.onnx").write_bytes(linear_onnx(1, 2))
    (folder / "keys").write_bytes(b"\xef\xbb\xbf" + GIVEN_KEY.encode() + b"\r\n")
    return publish(folder / "policy", folder / "instance")


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    secrets = {
        "POLICY_SERVER_API_KEYS": "",
        "POLICY_SERVER_API_KEYS_FILE": str(base_path.parent / "keys"),
    }
    with gunicorn(base_path, WORKERS, **secrets) as server:
        yield server


def basic(user: str, password: str) -> Header:
    return b"Authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode())


def key_header(key: str) -> Header:
    return b"X-API-Key", key.encode()


def add_user(base_path: Path, name: str, role: Any = "predict") -> Header:
    """As `user add` does, without a process for it; returns the header that names them."""
    password = f"the password of {name} {random.SystemRandom().random()}"
    with users_file(base_path).changing() as users:
        users[name] = UserRecord(hash_password(password), role, now())
    return basic(name, password)


def add_key(
    base_path: Path, name: str, role: Any = "predict", expires: float | None = None
) -> Header:
    """As `key add` does."""
    identifier, key = new_key()
    with keys_file(base_path).changing() as keys:
        keys[identifier] = KeyRecord(name, hash_key(key), role, now(), expires)
    return key_header(key)


def remove(base_path: Path, kind: str, name: str) -> None:
    if kind == "user":
        with users_file(base_path).changing() as users:
            del users[name]
    else:
        with keys_file(base_path).changing() as keys:
            found = next(each for each, record in keys.items() if record.name == name)
            del keys[found]


@contextlib.contextmanager
def connections(server: Server) -> Iterator[list[Connection]]:
    """So many that each worker has some."""
    made = [Connection(server.port) for _ in range(CONNECTIONS)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def statuses(made: list[Connection], header: Header, *others: Header) -> set[int]:
    body = json.dumps(OBSERVATION).encode()
    request = Request(b"/api/predict", body, (JSON, header, *others))
    return {each.send(request).status for each in made}


def test_a_removed_credential_is_accepted_in_no_worker_whatever_was_done_before(
    server: Server, base_path: Path
) -> None:
    draw = random.Random(13)
    there: dict[tuple[str, str], Header] = {}
    gone: list[Header] = []
    with connections(server) as made:
        for step in range(3):
            for number in range(2):
                kind = draw.choice(["user", "key", "key"])
                name = f"{kind}-{step}-{number}"
                add = add_user if kind == "user" else add_key
                there[kind, name] = add(base_path, name)
            if step:
                for kind, name in draw.sample(sorted(there), 2):
                    gone.append(there.pop((kind, name)))
                    remove(base_path, kind, name)
            time.sleep(HOLDS_SECONDS)
            for header in draw.sample(gone, min(len(gone), 3)):
                assert statuses(made, header) <= {401, 429}
            for header in there.values():
                for _ in range(3):  # the third time they are remembered
                    assert statuses(made, header) == {200}
        for kind, name in sorted(there):
            remove(base_path, kind, name)
        time.sleep(HOLDS_SECONDS)
        for header in there.values():
            assert statuses(made, header, (b"X-Forwarded-For", b"192.0.2.9")) <= {401, 429}


def test_roles_are_kept_and_a_new_one_holds_at_once(server: Server, base_path: Path) -> None:
    key = add_key(base_path, "promoted")
    name, value = (each.decode() for each in key)
    time.sleep(HOLDS_SECONDS)

    def status() -> set[int]:
        return {
            requests.get(f"{server.url}/versions", headers={name: value}, timeout=60).status_code
            for _ in range(CONNECTIONS)
        }

    assert status() == {403}
    with keys_file(base_path).changing() as keys:
        for identifier, record in keys.items():
            keys[identifier] = KeyRecord(record.name, record.hash, "manage", record.created)
    time.sleep(HOLDS_SECONDS)
    assert status() == {200}


def test_keys_expire_while_they_are_in_use(server: Server, base_path: Path) -> None:
    seconds = 4.0
    made_at = time.monotonic()
    key = add_key(base_path, "short", expires=time.time() + seconds)
    time.sleep(HOLDS_SECONDS)
    with connections(server) as made:
        accepted_last = 0.0
        while time.monotonic() < made_at + seconds + HOLDS_SECONDS:
            asked = time.monotonic()
            if 200 in statuses(made, key):
                accepted_last = asked
        assert made_at + HOLDS_SECONDS < accepted_last < made_at + seconds + HOLDS_SECONDS
        assert statuses(made, key) <= {401, 429}


def test_the_command_line_adds_and_removes(server: Server, base_path: Path) -> None:
    added = run_command("key", "add", "ci", "--days", "1", base_path=base_path)
    assert added.returncode == 0, added.stderr
    key = added.stdout.strip()
    assert "\n" not in key
    assert key not in added.stderr
    kept = (base_path / "access" / "keys.json").read_text()
    assert key not in kept
    assert hashlib.sha256(key.encode()).hexdigest() in kept
    user = run_command(
        "user", "add", "carol", "--role=manage", "--password-file", "-",
        base_path=base_path, text="carols own password\r\n",
    )  # fmt: skip
    assert (user.returncode, user.stdout) == (0, "")
    time.sleep(HOLDS_SECONDS)
    with connections(server) as made:
        assert statuses(made, key_header(key)) == {200}
        assert statuses(made, basic("carol", "carols own password")) == {200}
        assert run_command("key", "remove", "ci", base_path=base_path).returncode == 0
        time.sleep(HOLDS_SECONDS)
        assert statuses(made, key_header(key)) <= {401, 429}
    listed = run_command("user", "list", base_path=base_path).stdout
    assert [line.split()[:2] for line in listed.splitlines()[1:]][-1] == ["carol", "manage"]
    entries = server.get("audit").json()["entries"]
    by_command = [(each["operation"], each["outcome"]) for each in entries[:3]]
    assert by_command == [("key remove", "done"), ("user add", "done"), ("key add", "done")]
    assert {each["kind"] for each in entries[:3]} == {"system"}


def test_a_file_of_keys_is_followed(server: Server, base_path: Path) -> None:
    with connections(server) as made:
        assert statuses(made, key_header(GIVEN_KEY)) == {200}
        (base_path.parent / "keys").write_text("another-key-in-that-file\nand-a-third-of-them\n")
        time.sleep(HOLDS_SECONDS)
        assert statuses(made, key_header("another-key-in-that-file")) == {200}
        assert statuses(made, key_header("and-a-third-of-them")) == {200}
        assert statuses(made, key_header(GIVEN_KEY)) <= {401, 429}


def guess(server: Server, user: str, password: str, address: str) -> requests.Response:
    """Ask as a client of nginx does, from an address that nginx names."""
    return server.get("schema", auth=(user, password), headers={"X-Forwarded-For": address})


def test_unknown_users_and_wrong_passwords_look_alike_and_are_logged_without_secrets(
    server: Server, base_path: Path
) -> None:
    add_user(base_path, "dora")
    time.sleep(HOLDS_SECONDS)
    took: dict[str, list[float]] = {"dora": [], "nobody-here": [], USER: []}
    bodies = set()
    for number in range(5):
        for user in took:
            began = time.monotonic()
            answer = guess(server, user, f"guess number {number}", f"198.51.100.{number}")
            took[user].append(time.monotonic() - began)
            assert answer.status_code == 401
            bodies.add(json.dumps({**answer.json(), "instance": ""}))
    assert len(bodies) == 1
    middle = {user: statistics.median(seconds) for user, seconds in took.items()}
    # A user who is not known costs a hash too: without it, there are two orders between them.
    assert max(middle.values()) < 5 * min(middle.values())
    log = server.log.read_text()
    assert "refused the user dora, from 198.51.100.3" in log
    assert f"refused the user {USER}, from" in log
    assert "refused a user who is not known, from 198.51.100.3" in log
    assert "guess number" not in log
    assert "nobody-here" not in log


def test_guesses_are_slowed_down_and_nobody_else_is(server: Server, base_path: Path) -> None:
    header = add_user(base_path, "erika")
    password = base64.b64decode(header[1].split()[1]).decode().partition(":")[2]
    time.sleep(HOLDS_SECONDS)
    attacker, neighbour = "198.51.100.66", "198.51.100.67"
    with connections(server) as made:
        at_work = (b"X-Forwarded-For", attacker.encode())
        assert statuses(made, header, at_work) == {200}
        seen = [guess(server, "erika", f"guess {number}", attacker) for number in range(40)]
        assert {each.status_code for each in seen} == {401, 429}
        refused = next(each for each in seen if each.status_code == 429)
        assert refused.json()["title"] == "Too many failures"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        # The right password too is not looked at from there, where it was not in use ...
        late = guess(server, "carol", "x" * 12, attacker).status_code
        assert late in (401, 429)
        # ... but who was at work goes on, and other addresses may come.
        assert statuses(made, header, at_work) == {200}
        assert guess(server, "erika", password, neighbour).status_code == 200
        assert server.post("predict", OBSERVATION).status_code == 200


def test_wrong_keys_never_keep_out_right_ones(server: Server, base_path: Path) -> None:
    key = add_key(base_path, "right")
    time.sleep(HOLDS_SECONDS)
    address = {"X-Forwarded-For": "198.51.100.70"}
    for _ in range(40):
        answer = server.get("schema", auth=None, headers={"X-API-Key": "wrong" * 5, **address})
        assert answer.status_code in (401, 429)
    with connections(server) as made:
        assert statuses(made, key, (b"X-Forwarded-For", b"198.51.100.70")) == {200}


def test_managers_see_who_changed_what(server: Server, base_path: Path) -> None:
    model = linear_onnx(1, 2, seed=7)
    done = server.upload("model", "model_file", model).json()
    refused = server.upload("model", "model_file", b"no model", headers={"X-Request-Id": "my-own"})
    gone = server.session.delete(f"{server.url}/versions/7-none", auth=(USER, PASSWORD))
    assert (refused.status_code, gone.status_code) == (422, 404)
    server.get("versions")  # looks, and changes nothing
    answer = server.get("audit", params={"limit": 3})
    deleted, rejected, uploaded = answer.json()["entries"]
    assert uploaded["operation"] == rejected["operation"] == "upload_model"
    assert (uploaded["who"], uploaded["kind"], uploaded["address"]) == (USER, "user", "127.0.0.1")
    sent = {"name": "model", "sha256": hashlib.sha256(model).hexdigest()}
    assert sent in uploaded["hashes"]
    assert {each["name"] for each in uploaded["hashes"]} == {"model", "version"}
    assert (uploaded["outcome"], uploaded["subject"]) == ("done", done["version"])
    assert (rejected["outcome"], rejected["status"], rejected["request"]) == (
        "refused",
        422,
        "my-own",
    )
    assert rejected["hashes"] == [{**sent, "sha256": hashlib.sha256(b"no model").hexdigest()}]
    assert rejected["detail"] == refused.json()["detail"]
    assert (deleted["operation"], deleted["subject"]) == ("delete_version", "7-none")
    older = server.get("audit", params={"limit": 2, "before": answer.json()["before"]}).json()
    assert [each["id"] for each in older["entries"]] == [uploaded["id"] - 1, uploaded["id"] - 2]
    for wrong in ({"limit": 0}, {"limit": 1001}, {"before": 0}):
        assert server.get("audit", params=wrong).status_code == 400
    key = add_key(base_path, "curious")
    time.sleep(HOLDS_SECONDS)
    asked = server.get("audit", auth=None, headers={"X-API-Key": key[1].decode()})
    assert asked.status_code == 403
