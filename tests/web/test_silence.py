"""The server talks to nobody but its clients, and writes nowhere but into BASE_PATH."""

import re
import sys
import time
from pathlib import Path

import pytest

from policy_server.contract.reading import read_schema
from tests.support.server import ROOT, free_port, running

LPOC = ROOT / "examples" / "lpoc"
EXAMPLE = read_schema((LPOC / "schema.yaml").read_text(encoding="utf-8")).example()
LINGER_SECONDS = 3.0
"""A report of a library comes some moments after its start."""
LOCAL = re.compile(r'inet_addr\("127\.|inet_pton\(AF_INET6, "::1"|AF_UNIX|AF_NETLINK|AF_UNSPEC')


def addressed(trace: Path) -> list[str]:
    """Calls in a trace that name an address which is not of this machine, or ask for a name."""
    lines = trace.read_text(errors="replace").splitlines()
    named = [line for line in lines if "sa_family=" in line and "sin_port=htons(0)" not in line]
    return [line for line in named if not LOCAL.search(line) or "htons(53)" in line]


@pytest.mark.parametrize("program", ["gunicorn", "app.py"])
def test_a_start_a_build_and_a_decision_reach_nobody(
    published_lpoc: Path, lpoc_instance: Path, tmp_path: Path, program: str
) -> None:
    home, trace, port = tmp_path / "home", tmp_path / "trace", free_port()
    home.mkdir()
    # -D: the server is the process that was started, and strace watches it from beside.
    command = ["strace", "-D", "-f", "-qq", "-o", str(trace)]
    command += ["-e", "trace=accept4,connect,sendto,sendmsg,sendmmsg"]
    if program == "gunicorn":
        served = [str(Path(sys.executable).parent / "gunicorn"), "app:app", "-w", "2"]
        served += ["-b", f"127.0.0.1:{port}"]
    else:
        served = [sys.executable, "app.py", "--port", str(port)]
    variables = {"HOME": str(home), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    with running([*command, *served], port, lpoc_instance, **variables) as server:
        assert server.post("predict", EXAMPLE).status_code == 200
        mapper = b"0: north\n1: east\n2: south\n3: west\n4: stay\n"
        report = server.upload("outputmapper", "output_mapper_file", mapper)
        assert report.json()["state"] == "active", report.text
        assert server.post("predict", EXAMPLE).status_code == 200
        time.sleep(LINGER_SECONDS)
    assert "accept4(" in trace.read_text(errors="replace"), "the trace sees what goes on"
    assert addressed(trace) == []
    assert [path for path in home.rglob("*") if path.is_file()] == []
