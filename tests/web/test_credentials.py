"""Credentials are remembered for a while, and refused soon after they were changed."""

import base64
import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from policy_server.contract.reading import read_schema
from tests.support.raw_requests import JSON, Connection, Header, Request
from tests.support.server import ROOT, gunicorn

EXAMPLE = read_schema((ROOT / "examples/lpoc/schema.yaml").read_text()).example()
PREDICT, SCHEMA = b"/api/predict", b"/api/schema"
USER, PASSWORD = "gärtner", "pässwörd-ñ"
KEY, OTHER_KEY = "a-key-of-sixteen-characters", "schlüssel-mit-zwölf-ecken"
LIFE_SECONDS = 1.0
"""How long changed credentials may still be accepted."""
PATIENCE_SECONDS = 60.0
REFUSED, SLOWED_DOWN = 401, 429


@dataclass
class Asked:
    """Two servers, with the fast path and without, and the file that keeps their credentials."""

    connections: list[Connection]
    credentials: Path

    def statuses(self, header: Header) -> set[int]:
        """What the header gets: for a prediction, and for an operation of connexion's alone."""
        body = json.dumps(EXAMPLE).encode()
        requests = (
            Request(PREDICT, body, (JSON, header)),
            Request(SCHEMA, b"", (header,), method=b"GET"),
        )
        found = {each.send(request).status for request in requests for each in self.connections}
        return {REFUSED if status == SLOWED_DOWN else status for status in found}

    def wait_for(self, header: Header, status: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.statuses(header) != {status}:
            assert time.monotonic() < deadline, f"never {status}"
            time.sleep(0.05)


def basic(user: str, password: str, encoding: str = "utf-8") -> Header:
    text = f"{user}:{password}".encode(encoding)
    return b"Authorization", b"Basic " + base64.b64encode(text)


@contextlib.contextmanager
def servers_that_keep(base_path: Path, content: bytes) -> Iterator[Asked]:
    """Servers whose file of credentials holds this."""
    credentials = base_path / "credentials"
    credentials.write_bytes(content)
    options = {
        "POLICY_SERVER_USER": USER,
        "POLICY_SERVER_PASSWORD": "",
        "POLICY_SERVER_API_KEYS": f"{KEY},{OTHER_KEY}",
    }
    with (
        gunicorn(base_path, 1, POLICY_SERVER_FAST_PATH="on", **options) as fast,
        gunicorn(base_path, 1, POLICY_SERVER_FAST_PATH="off", **options) as slow,
        contextlib.closing(Connection(fast.port)) as first,
        contextlib.closing(Connection(slow.port)) as second,
    ):
        yield Asked([first, second], credentials)


@pytest.fixture
def kept(lpoc_instance: Path) -> Iterator[Asked]:
    """Servers that keep a password beyond ASCII."""
    with servers_that_keep(lpoc_instance, f"{USER}:{PASSWORD}\n".encode()) as asked:
        yield asked


@pytest.fixture(scope="module")
def unchanged(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """The same, for tests that do not touch the file."""
    base_path = shutil.copytree(published_lpoc, tmp_path_factory.mktemp("kept") / "instance")
    with servers_that_keep(base_path, f"{USER}:{PASSWORD}\n".encode()) as asked:
        yield asked


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_passwords_beyond_ascii_are_accepted(unchanged: Asked, encoding: str) -> None:
    for _ in range(2):  # the second time they are remembered
        assert unchanged.statuses(basic(USER, PASSWORD, encoding)) == {200}
        assert unchanged.statuses(basic(USER, PASSWORD[:-1], encoding)) == {401}
        assert unchanged.statuses(basic(USER[:-1], PASSWORD, encoding)) == {401}
    assert unchanged.statuses(basic(USER, PASSWORD, "utf-16")) == {401}


@pytest.mark.parametrize(
    "key", [KEY.encode(), OTHER_KEY.encode("utf-8"), OTHER_KEY.encode("latin-1")]
)
def test_keys_are_accepted(unchanged: Asked, key: bytes) -> None:
    for _ in range(2):
        assert unchanged.statuses((b"X-API-Key", key)) == {200}
        assert unchanged.statuses((b"Authorization", b"Bearer " + key)) == {200}
        assert unchanged.statuses((b"X-API-Key", key[:-1])) == {401}
        assert unchanged.statuses((b"Authorization", b"Bearer " + key[:-1])) == {401}


def test_changed_credentials_are_refused_in_time_and_removed_ones_too(kept: Asked) -> None:
    old, new = basic(USER, PASSWORD), basic(USER, "another password")
    key = (b"X-API-Key", KEY.encode())
    assert (kept.statuses(old), kept.statuses(new)) == ({200}, {401})
    kept.credentials.write_text(f"{USER}:another password\n", encoding="utf-8")
    accepted_last = changed = time.monotonic()
    while time.monotonic() < changed + LIFE_SECONDS + 1:
        asked = time.monotonic()
        if 200 in kept.statuses(old):
            accepted_last = asked
        time.sleep(0.02)
    # However often they were used, none that were sent after this time were accepted.
    assert accepted_last < changed + LIFE_SECONDS
    assert (kept.statuses(new), kept.statuses(key)) == ({200}, {200})

    kept.credentials.unlink()
    kept.wait_for(new, 401)
    for nobody in (old, basic("", ""), basic(USER, ""), basic("", "another password")):
        assert kept.statuses(nobody) == {401}
    assert kept.statuses(key) == {200}


@pytest.mark.parametrize("content", [b"no colon", b"\xff\xfe:\xff"])
def test_a_damaged_file_makes_nobody_the_user(lpoc_instance: Path, content: bytes) -> None:
    with servers_that_keep(lpoc_instance, content) as asked:
        sent = (b"Authorization", b"Basic " + base64.b64encode(content))
        assert asked.statuses(sent) == {401}
        assert asked.statuses((b"X-API-Key", KEY.encode())) == {200}
