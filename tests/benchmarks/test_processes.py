"""Servers are weighed with all their processes, and none is left behind."""

import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks.processes import NotServing, family, free_ports, running
from benchmarks.subjects import Subject, decision_check

SERVER = """
    import http.server, subprocess, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            answer = b'{"action": 1, "meaning": "right", "probability": 0.25}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    # One child in this session, and one in a session of its own; neither ends when asked.
    hold = "import signal, time; signal.signal(15, signal.SIG_IGN); held = b'x' * 50_000_000; "
    hold += "print(1, flush=True); time.sleep(600)"
    for own in (False, True):
        child = subprocess.Popen([sys.executable, "-c", hold], stdout=-1, start_new_session=own)
        child.stdout.readline()
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def subject(folder: Path, *, code: str = SERVER, probability: float = 0.25) -> Subject:
    (folder / "server.py").write_text(textwrap.dedent(code), encoding="utf-8")
    return Subject(
        name="server",
        title="a server",
        command=(sys.executable, "server.py", "{port}"),
        folder=folder,
        path="/",
        body=b"{}",
        check=decision_check([1 - probability, probability]),
    )


def test_children_are_weighed_and_ended(tmp_path: Path) -> None:
    with running(subject(tmp_path), tmp_path / "log") as server:
        members = family(server.pid)
        assert len(members) == 3
        assert 100e6 < server.memory_bytes() < 400e6
        assert server.cold_start_seconds > 0
    assert not [pid for pid in members if Path(f"/proc/{pid}").exists()]


def test_a_wrong_probability_does_not_pass(tmp_path: Path) -> None:
    with (
        pytest.raises(NotServing, match=r"action 1 has 0.25, and should have 0.3"),
        running(subject(tmp_path, probability=0.3), tmp_path / "log"),
    ):
        pass


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(NotServing, match=r"ended with 1: .*no such network"),
        running(subject(tmp_path, code="raise SystemExit('no such network')"), tmp_path / "log"),
    ):
        pass


def test_free_ports_differ() -> None:
    assert len({*free_ports(3)}) == 3
