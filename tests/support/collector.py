"""Real collectors of traces, on free ports of 127.0.0.1, ended by the test that started them."""

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.support.server import free_port

READY_SECONDS = 30.0
VALUE = re.compile(r"(\w+)\((.*)\)")


@dataclass
class Span:
    """A span that came, as the collector tells it."""

    name: str
    trace: str
    parent: str
    id: str
    kind: str
    start: int
    end: int
    status: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Collector:
    """A running Rotel, which prints what it gets."""

    endpoint: str
    output: Path

    def spans(self, trace: str, least: int = 0, seconds: float = 20.0) -> list[Span]:
        """The spans of a trace that came so far, once they are so many or time is over."""
        deadline = time.monotonic() + seconds
        while True:
            found = [each for each in _read(self.output.read_text()) if each.trace == trace]
            if len(found) >= least or time.monotonic() > deadline:
                return found
            time.sleep(0.05)


@contextlib.contextmanager
def collector(folder: Path, port: int = 0) -> Iterator[Collector]:
    """Run a collector until the block ends."""
    spec = find_spec("rotel")
    assert spec is not None
    assert spec.origin is not None
    http, output = port or free_port(), folder / "collector.log"
    command = [str(Path(spec.origin).with_name("rotel-agent")), "start"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{http}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"]
    command += ["--exporter", "blackhole", "--debug-log", "traces"]
    command += ["--debug-log-verbosity", "detailed"]
    with output.open("ab") as written:
        process = subprocess.Popen(command, stdout=written, stderr=written, cwd=folder)
    try:
        _await(http, process)
        yield Collector(f"http://127.0.0.1:{http}", output)
    finally:
        process.terminate()
        process.wait(20)


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the collector did not come up")


def _read(text: str) -> list[Span]:
    found = []
    for part in re.split(r"^Span #\d+\n", text, flags=re.MULTILINE)[1:]:
        part = part.partition("\nResourceSpans")[0]
        said = dict(re.findall(r"^ *([A-Z][\w ]*?) *: (.*)$", part, re.MULTILINE))
        attributes = {
            name: value
            for name, _, value in re.findall(r"^ +-> ([\w.]+): (\w+)\((.*)\)$", part, re.MULTILINE)
        }
        span = Span(
            said["Name"],
            said["Trace ID"],
            said["Parent ID"],
            said["ID"],
            said["Kind"].removeprefix("SPAN_KIND_"),
            int(said["Start time"]),
            int(said["End time"]),
            said["Status code"].removeprefix("STATUS_CODE_"),
            attributes,
        )
        found.append(span)
    return found
