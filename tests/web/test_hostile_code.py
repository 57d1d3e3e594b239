"""Servers that serve hostile preprocessors: they learn nothing, change nothing, stop nothing."""

import errno
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support import hostile
from tests.support.networks import publish_code
from tests.support.ordinary_user import as_ordinary_user
from tests.support.server import ROOT, Server, free_port, running
from tests.support.without_calls import LANDLOCK, UNSHARE, without_calls

SCHEMA = """\
observations:
  deed: {type: str, enum: [DEEDS]}
  marks: {type: "List[int]", min_items: 6, max_items: 6, minimum: 0, maximum: 1000000}
"""
ATTEMPTS = """
made = {**outcomes(attacks({**FACTS, "victim": os.getppid()})), **outcomes(honest_work())}
print("\\nDONE", json.dumps(sorted(name for name, outcome in made.items() if outcome == "done")))
"""
CODE = """
import struct

FACTS = %r
THREE = struct.Struct("<II3f")
FAILED = struct.Struct("<IH")
WORDS = b"x\\n2026-01-01 00:00:00,000 INFO forged line \\x1b[2J"


def say(*bodies):
    frame = sys._getframe()
    while "connection" not in frame.f_locals:
        frame = frame.f_back
    for body in bodies:
        frame.f_locals["connection"].send(body, frame.f_locals["number"])


def forever():
    while True:
        print("x" * 1_000)


DEEDS = {
    "none": lambda: None,
    "endless": lambda: [say(struct.pack("!IQ", 0xFFFF_FFFF, 0)), time.sleep(1e6)],
    "empty": lambda: say(b""),
    "nan": lambda: say(THREE.pack(3, 0, *[float("nan")] * 3)),
    "wide": lambda: say(struct.pack("<II", 1_000_000, 0) + bytes(4_000_000)),
    "many": lambda: say(struct.pack("<II", 3, 4_000_000_000) + bytes(12)),
    "words": lambda: say(THREE.pack(3, 1, 0, 0, 0) + FAILED.pack(0, len(WORDS)) + WORDS),
    "doubled": lambda: say(*[THREE.pack(3, 0, 9, 9, 9)] * 2),
    "prints": lambda: print("2026-01-01 00:00:00,000 INFO forged line\\n" * 3) or 1 / 0,
    "prints without end": forever,
    "eats 10 GB": lambda: bytearray(10_000_000_000),
    "breaks": lambda: ctypes.string_at(0),
    "forks without end": lambda: [os.fork() for _ in range(10_000)],
    "sleeps": lambda: time.sleep(1e6),
    "ends": lambda: os._exit(3),
}


def preprocess(observation):
    if observation["marks"] == [7] * 6:
        DEEDS[observation["deed"]]()
    return [len(observation["deed"]), *observation["marks"][:2]]
"""
HARMLESS = {"none", "doubled"}
DEEDS = re.findall(r'^    "(.+?)": ', CODE, re.MULTILINE)
HONEST = sorted(hostile.honest_work())


@dataclass
class Attacked:
    """A server, its store, and the preprocessor that it serves."""

    server: Server
    store: Path
    code: str

    def ask(self, deed: str, mark: int) -> requests.Response:
        return self.server.post("predict_deterministic", {"deed": deed, "marks": [mark] * 6})

    def printed(self, who: str) -> list[list[str]]:
        """What attempts succeeded, as somebody printed them."""
        lines = re.findall(rf"{who} printed: DONE (.*)", self.server.log.read_text())
        return [json.loads(line) for line in lines]

    def files(self) -> dict[str, bytes]:
        versions = self.store / "versions"
        return {str(each): each.read_bytes() for each in versions.rglob("*") if each.is_file()}


def hostile_code(folder: Path, port: int) -> str:
    facts = {"folder": str(folder), "code": str(ROOT), "port": port, "socket": f"{folder}/socket"}
    return Path(str(hostile.__file__)).read_text().partition("\nif __name__")[0] + CODE % facts


@pytest.fixture(scope="module", params=["root", "an ordinary user, in a container"])
def attacked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    folder, port = tmp_path_factory.mktemp("hostile"), free_port()
    schema = SCHEMA.replace("DEEDS", ", ".join(DEEDS))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = hostile_code(folder / "instance", listening.getsockname()[1])
        store = publish_code(folder, schema, code + ATTEMPTS, features=3)
        (store / "credentials").write_text("secret")
        command = [str(Path(sys.executable).parent / "gunicorn"), "app:app"]
        command += ["-b", f"127.0.0.1:{port}", "-w", "1"]
        if request.param != "root":
            command = as_ordinary_user(*without_calls((UNSHARE,), command))
        limits = {"POLICY_SERVER_PREPROCESSOR_BATCH_SECONDS": "2", "DEBUG": "True"}
        with running(command, port, store, **limits) as server:
            yield Attacked(server, store, code)


def test_what_is_served_computes_and_nothing_else(attacked: Attacked) -> None:
    assert attacked.ask("none", 7).status_code == 200
    time.sleep(0.2)  # until what was printed is read
    (done,) = attacked.printed("the preprocessor")
    assert done == HONEST


def test_what_is_built_computes_and_nothing_else(attacked: Attacked) -> None:
    code = f"{attacked.code}{ATTEMPTS}\nraise ValueError('that is all')\n".encode()
    refused = attacked.server.upload("preprocessor", "preprocessor_file", code)
    assert (refused.status_code, "that is all" in refused.text) == (422, True)
    (done,) = attacked.printed("the build")
    assert done == HONEST


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_costs_its_own_request_alone(attacked: Attacked, deed: str) -> None:
    before = attacked.files()
    answer = attacked.ask(deed, 7)
    assert answer.status_code == (200 if deed in HARMLESS else 500), answer.text
    if deed not in HARMLESS:
        assert answer.json()["title"] == "Preprocessor failed"
    honest = attacked.ask("none", 3)
    if honest.status_code == 500:  # a second reply was still on its way
        honest = attacked.ask("none", 3)
    assert (honest.status_code, honest.json()["action"]) == (200, 0)
    assert attacked.files() == before
    assert not re.search(r"^\S*2026-01-01.*forged", attacked.server.log.read_text(), re.MULTILINE)


def test_a_ready_server_lacks_nothing(attacked: Attacked) -> None:
    assert "sandbox_lacks" not in attacked.server.get("health/ready").json()
    log = attacked.server.log.read_text()
    assert log.count("Booting worker") == 1
    assert len(log) < 200_000


def test_a_server_says_what_its_kernel_lacks_or_does_not_start(attacked: Attacked) -> None:
    port = free_port()
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app"]
    command += ["-b", f"127.0.0.1:{port}", "-w", "1"]
    command = without_calls((LANDLOCK,), command, errno.ENOSYS)
    with running(command, port, attacked.store) as server:
        (lacking,) = server.get("health/ready").json()["sandbox_lacks"]
        assert "Landlock: uploaded code can read every file that the server can" in lacking
        assert "the sandbox of uploaded code lacks: Landlock" in server.log.read_text()
    with (
        pytest.raises(AssertionError, match=r"POLICY_SERVER_REQUIRE_SANDBOX: .*Landlock"),
        running(command, port, attacked.store, POLICY_SERVER_REQUIRE_SANDBOX="true"),
    ):
        pass


def test_nobody_else_looks_into_the_store(attacked: Attacked) -> None:
    if os.geteuid() == 0:
        assert attacked.store.stat().st_mode & 0o777 == 0o700
