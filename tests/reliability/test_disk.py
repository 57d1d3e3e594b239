"""A disk that is full, may not be written to, or was damaged: what decides goes on deciding."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.churn import SCHEMA, children, parts_of
from tests.support.server import (
    PASSWORD,
    USER,
    Server,
    free_port,
    gunicorn,
    run_command,
    running,
)

NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root", "--mount"]
SERVE = """\
mount -t tmpfs -o size=4m tmpfs "$BASE_PATH"
cp -a "$SOURCE"/. "$BASE_PATH"
mount -o "remount,$MODE" "$BASE_PATH"
exec "$@"
"""
OBSERVATION = {"x": [1, 1, 1]}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH with two versions, of which the later one decides."""
    folder = tmp_path_factory.mktemp("source")
    base = folder / "instance"
    assert run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA).returncode == 0
    for number in (0, 1):
        parts = parts_of(number)
        (folder / str(number)).mkdir()
        for name, content in parts.values():
            (folder / str(number) / name).write_bytes(content)
        published = run_command("publish", folder / str(number), base_path=base)
        assert published.returncode == 0, published.stderr
    return base


class SmallDisk:
    """The disk of a server, which nobody else sees."""

    def __init__(self, server: Server, base: Path) -> None:
        self._pid = server.process.pid
        self._base = base
        self.folder = Path(f"/proc/{self._pid}/root{base}")

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", 0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        (self.folder / "filler").unlink()

    def remount(self, option: str) -> None:
        enter = ["nsenter", "--target", str(self._pid), "--mount"]
        if os.geteuid() != 0:
            enter += ["--user", "--preserve-credentials"]
        subprocess.run([*enter, "mount", "-o", f"remount,{option}", str(self._base)], check=True)


@pytest.fixture
def server(
    source: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Server, SmallDisk]]:
    """A server with a small disk of its own, mounted `rw` or `ro`."""
    base, port = tmp_path / "instance", free_port()
    base.mkdir()
    command = [str(Path(sys.executable).parent / "gunicorn"), "app:app"]
    command += ["-b", f"127.0.0.1:{port}", "-w", "1"]
    command = [*NAMESPACE, "sh", "-ec", SERVE, "sh", *command]
    with running(command, port, base, SOURCE=str(source), MODE=request.param) as server:
        yield server, SmallDisk(server, base)


def decides(server: Server) -> str:
    answer = server.post("predict", OBSERVATION)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["meaning"])


def upload(server: Server, number: int) -> "tuple[int, str]":
    answer = server.session.post(
        f"{server.url}/policy", files=parts_of(number), auth=(USER, PASSWORD), timeout=60
    )
    return answer.status_code, answer.text


def restart_worker(server: Server) -> None:
    """Kill the worker and wait until another one answers."""
    (pid,) = children(server.process.pid)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if server.get("health/ready").ok and children(server.process.pid) != [pid]:
                return
        time.sleep(0.05)
    raise AssertionError(server.log.read_text())


@pytest.mark.parametrize("server", ["rw"], indirect=True)
def test_a_full_disk_stops_uploads_and_nothing_else(server: tuple[Server, SmallDisk]) -> None:
    served, disk = server
    before = served.get("versions").json()["versions"]
    disk.fill()
    status, text = upload(served, 2)
    assert status == 507, text
    assert "No space left on device" in text
    assert "Nothing was changed" in text
    assert decides(served) == "v1"
    restart_worker(served)
    assert decides(served) == "v1"
    status, text = upload(served, 2)
    assert status == 507, text
    disk.empty()
    assert [each["version"] for each in served.get("versions").json()["versions"]] == [
        each["version"] for each in before
    ]
    assert list((disk.folder / "staging").iterdir()) == []
    assert upload(served, 2)[0] == 200
    assert decides(served) == "v2"


@pytest.mark.parametrize(
    ("server", "status", "words"),
    [("rw", 507, "No space left on device"), ("ro", 501, "Read-only file system")],
    indirect=["server"],
)
def test_clients_that_cannot_be_kept_are_not_said_to_be_made_for_ever(
    server: tuple[Server, SmallDisk], status: int, words: str
) -> None:
    served, disk = server
    if status == 507:
        disk.fill()
    deadline = time.monotonic() + 60
    while (answer := served.get("clients")).status_code == 503:
        assert time.monotonic() < deadline, "they are said to be made for ever"
        time.sleep(0.05)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert served.get("clients/python").status_code == status
    assert decides(served) == "v1"


@pytest.mark.parametrize("server", ["ro"], indirect=True)
def test_a_store_that_may_not_be_written_to_serves(server: tuple[Server, SmallDisk]) -> None:
    served, disk = server
    assert decides(served) == "v1"
    assert served.get("health/ready").json()["status"] == "ok"
    status, text = upload(served, 2)
    assert status == 507, text
    assert "Read-only file system" in text
    first, _ = served.get("versions").json()["versions"]
    refused = served.post(f"versions/{first['version']}/activate", None)
    assert (refused.status_code, refused.json()["title"]) == (507, "Not stored")
    assert decides(served) == "v1"
    disk.remount("rw")
    assert served.post(f"versions/{first['version']}/activate", None).status_code == 200
    assert decides(served) == "v0"


def test_damage_is_found_and_the_version_before_decides(source: Path, tmp_path: Path) -> None:
    base = tmp_path / "instance"
    subprocess.run(["cp", "-a", source, base], check=True)
    good, damaged = sorted(path.name for path in (base / "versions").iterdir())
    network = base / "versions" / damaged / "model" / "network.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 0x10
    network.write_bytes(content)
    with gunicorn(base, 2) as served:
        assert decides(served) == "v0"
        ready = served.get("health/ready", auth=None)
        assert ready.status_code == 200
        assert ready.json()["status"] == "degraded"
        assert ready.json()["version"] == good
        assert f"{damaged} is damaged: model/network.onnx" in ready.json()["detail"]
        assert served.post(f"versions/{damaged}/activate", None).status_code == 409
        # The same content is built anew, since what is there is not what it was.
        assert upload(served, 1)[0] == 200
        assert decides(served) == "v1"
        deadline = time.monotonic() + 10
        while served.get("health/ready").json()["status"] != "ok":
            assert time.monotonic() < deadline
