"""Two servers, each with a store of its own: what was proven at one decides at the other."""

import base64
import hashlib
import http.server
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from policy_server.serving.signed_archive import HEADER_BYTES, check_archive
from tests.support.named_policies import SCHEMA, ask, folder_of
from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn, publish, run_command

OBSERVATION = {"x": [1, 2, 3]}
MAPPER = "{0: zero, 1: one, 2: two, 3: three, 4: four, 5: five, 6: six}"
GIVEN = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD}


@dataclass
class Pair:
    """Two servers; the second trusts the first."""

    one: Server
    other: Server
    here: Path
    key: str

    @property
    def version(self) -> str:
        """What decides at the first."""
        return str(self.one.get("versions").json()["active"])

    def archive(self) -> bytes:
        return self.one.get(f"versions/{self.version}/archive").content


def command(base_path: Path, *words: str, **settings: str) -> str:
    done = run_command(*words, base_path=base_path, **GIVEN, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refusal(base_path: Path, *words: str, **settings: str) -> str:
    done = run_command(*words, base_path=base_path, **GIVEN, **settings)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("copying")
    first = folder_of(folder / "first", 2)
    (first / "output_mapper.yaml").write_text(MAPPER)
    here = publish(first, folder / "here")
    there = publish(folder_of(folder / "second", 5), folder / "there")
    trusted = command(here, "fingerprint").strip()
    with (
        gunicorn(here) as one,
        gunicorn(there, workers=2, POLICY_SERVER_TRUSTED_KEYS=trusted) as other,
    ):
        yield Pair(one, other, here, trusted)


def send(server: Server, archive: bytes, **options: object) -> requests.Response:
    return server.upload("archive", "archive_file", archive, **options)  # type: ignore[no-any-return]


def identity(server: Server, version: str) -> tuple[str, str]:
    listed = server.get("versions").json()["versions"]
    (found,) = (each for each in listed if each["version"] == version)
    return found["hash"], found["schema_hash"]


def test_an_archive_says_what_it_is_and_is_one_and_the_same_each_time(pair: Pair) -> None:
    path = f"versions/{pair.version}/archive"
    answer = pair.one.get(path)
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.status_code == 200
    assert answer.headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert pair.one.get(path).content == answer.content
    again = pair.one.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert pair.one.get("versions/99-none/archive").status_code == 404
    key = {"X-API-Key": KEY}
    assert pair.one.get(path, auth=None, headers=key).status_code == 403


def test_what_is_pushed_is_there_and_decides_once_it_is_activated(pair: Pair) -> None:
    before = pair.other.get("versions").json()["active"]
    told = command(pair.here, "push", pair.other.url, pair.version)
    assert "is there, and not active" in told
    assert pair.other.get("versions").json()["active"] == before
    assert pair.other.post("predict", OBSERVATION).json()["action"] == 5
    told = command(pair.here, "push", pair.other.url, pair.version, "--activate")
    assert "is active." in told
    active = pair.other.get("versions").json()["active"]
    assert identity(pair.other, active) == identity(pair.one, pair.version)
    for seed in range(5):
        path = f"predict?seed={seed}"
        found = [server.post(path, OBSERVATION) for server in (pair.one, pair.other)]
        assert found[0].content == found[1].content
        assert found[0].json()["meaning"] == "two"
    entry = pair.other.get("audit").json()["entries"][0]
    assert (entry["operation"], entry["subject"]) == ("upload_archive", active)
    hashes = {each["name"]: each["sha256"] for each in entry["hashes"]}
    assert hashes["server"] == pair.key
    assert hashes["archive"] == hashlib.sha256(pair.archive()).hexdigest()
    pair.other.post(f"versions/{before}/activate", None)


def test_an_archive_may_be_answered_later(pair: Pair) -> None:
    answer = send(pair.other, pair.archive(), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    build = f"builds/{answer.json()['build']}"
    while (found := pair.other.get(build).json())["state"] == "running":
        assert found["operation"] == "upload_archive"
    assert found["report"]["state"] == "complete"


def test_an_archive_that_was_changed_is_refused_and_changes_nothing(pair: Pair) -> None:
    archive, before = pair.archive(), pair.other.get("versions").json()
    cut = archive[: len(archive) // 2]
    changed = bytearray(archive)
    changed[HEADER_BYTES + 200] ^= 1
    for content, said in (
        (cut, "The archive is cut"),
        (bytes(changed), "is not as its server has signed it"),
        (b"PK\x03\x04 something else", "This is no archive of a version"),
    ):
        answer = send(pair.other, content)
        assert answer.status_code == 422
        assert said in answer.json()["detail"]
    after = pair.other.get("versions").json()
    names = [[each["version"] for each in listed["versions"]] for listed in (before, after)]
    assert (names[0], before["active"]) == (names[1], after["active"])


def test_who_is_not_trusted_is_refused_with_the_way_to_be(pair: Pair) -> None:
    version = pair.other.get("versions").json()["active"]
    archive = pair.other.get(f"versions/{version}/archive").content
    answer = send(pair.one, archive)
    assert answer.status_code == 422
    assert check_archive(io.BytesIO(archive)).fingerprint in answer.json()["detail"]
    assert "POLICY_SERVER_TRUSTED_KEYS" in answer.json()["detail"]
    assert send(pair.other, archive).status_code == 200, "its own"


def test_a_version_is_pulled_into_a_store_that_has_nothing(pair: Pair, tmp_path: Path) -> None:
    base, trusted = tmp_path / "base", pair.key
    untrusted = refusal(base, "pull", pair.one.url, pair.version)
    assert f"{trusted}, which is not trusted here" in untrusted
    told = command(
        base, "pull", pair.one.url, pair.version, "--activate", POLICY_SERVER_TRUSTED_KEYS=trusted
    )
    assert f"version {pair.version} of the server with the key {trusted}" in told
    with gunicorn(base) as server:
        assert server.post("predict", OBSERVATION).json()["meaning"] == "two"
        active = server.get("versions").json()["active"]
        assert identity(server, active) == identity(pair.one, pair.version)


def test_an_archive_is_kept_as_a_file_for_a_push_of_later(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "version.policy"
    command(tmp_path / "base", "pull", pair.one.url, pair.version, "--output", str(file))
    assert file.read_bytes() == pair.archive()
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "base" / "versions").exists()
    assert "is there" in command(tmp_path / "base", "push", pair.other.url, str(file))
    file.write_bytes(file.read_bytes()[:-1])
    assert "is cut" in refusal(tmp_path / "base", "push", pair.other.url, str(file))


def test_a_policy_of_a_name_takes_versions_too(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "version.policy"
    file.write_bytes(pair.archive())
    schema, root = {"schema_file": ("schema.yaml", SCHEMA)}, pair.other.url.removesuffix("/api")
    made = requests.put(f"{root}/policies/trial", files=schema, auth=(USER, PASSWORD), timeout=60)
    assert made.status_code == 200
    words = ("push", pair.other.url, str(file), "--policy", "trial", "--activate")
    assert "is active." in command(tmp_path / "base", *words)
    assert ask(pair.other, "trial").json()["meaning"] == "two"


class Liar(http.server.BaseHTTPRequestHandler):
    """Announces more than it sends."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"\x89PSV")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_server_that_breaks_off_leaves_no_file_behind(tmp_path: Path) -> None:
    liar = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    threading.Thread(target=liar.serve_forever, daemon=True).start()
    url, file = f"http://127.0.0.1:{liar.server_port}", tmp_path / "version.policy"
    try:
        told = refusal(tmp_path / "base", "pull", url, "short", "--output", str(file))
        assert "broke off" in told
    finally:
        liar.shutdown()
        liar.server_close()
    assert not file.exists()
