"""What a step of an episode costs: `python -m benchmarks.steps`.

One worker, one connection, one request after the other; the memory of an answer goes into the next
request. Processor time is the worker's, as the kernel counts it, in units of 10 ms.
"""

import contextlib
import http.client
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import machine, networks
from benchmarks.ours import publish, subject
from benchmarks.processes import PROC, family, running
from benchmarks.subjects import AUTHORIZATION, any_answer
from tests.support.large_memory import FEATURES, leaky_onnx

SCHEMA = f"""\
observations:
  x: {{type: "List[float]", min_items: {FEATURES}, max_items: {FEATURES}}}
parameters: {{discrete: true, tuple: false}}
"""
OBSERVATION = '{"x":[0.5,-1.0,2.0]}'
HIDDEN = 64
WIDTHS = (250, 25_000, 125_000)
"""Numbers of the states: 1 kB, 100 kB, 500 kB."""
ROUNDS, SECONDS = 5, 2.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Of one request.

    Attributes:
        processor: Microseconds of the server's processes.
        latency: Microseconds, the median.
        memory: Characters of the memory.
    """

    processor: float
    latency: float
    memory: int = 0


class Client:
    """One connection.

    Args:
        url: Of an operation.
        pid: Of the server's first process.
    """

    def __init__(self, url: str, pid: int) -> None:
        address, _, self._path = url.removeprefix("http://").partition("/")
        self._pid = pid
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._headers = {"Content-Type": "application/json", "Authorization": AUTHORIZATION}

    def measure(self, operation: str) -> Cost:
        """Ask for some seconds."""
        path = f"/{self._path.rpartition('/')[0]}/{operation}"
        steps = operation == "step"
        memory, latencies = "", []
        before, end = self._ticks(), time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            body = OBSERVATION
            if steps:
                carried = f',"memory":"{memory}"' if memory else ""
                body = f'{{"observation":{OBSERVATION}{carried}}}'
            start = time.perf_counter()
            self._connection.request("POST", path, body, self._headers)
            answer = self._connection.getresponse()
            content = answer.read()
            latencies.append(time.perf_counter() - start)
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"{operation}: {answer.status} {content[:200]!r}")
            memory = json.loads(content)["memory"] if steps else ""
        spent = (self._ticks() - before) / TICKS / len(latencies)
        return Cost(spent * 1e6, statistics.median(latencies) * 1e6, len(memory))

    def _ticks(self) -> int:
        """Processor time of the server so far."""
        found = 0
        for pid in family(self._pid):
            with contextlib.suppress(OSError):
                stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8")
                found += sum(map(int, stat.rpartition(")")[2].split()[11:13]))
        return found


@contextlib.contextmanager
def serving(work: Path, width: int) -> Iterator[Client]:
    """A server of a policy with so large a state; 0 is one without memory."""
    folder, base = work / f"policy-{width}", work / f"instance-{width}"
    folder.mkdir()
    (folder / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    if width:
        (folder / "policy.onnx").write_bytes(leaky_onnx(width))
    else:
        networks.write_network(folder / "policy.onnx", FEATURES, HIDDEN)
    publish(folder, base)
    body = f'{{"observation":{OBSERVATION}}}'.encode()
    server = subject(base, body, any_answer, name="", title="", path="/api/step")
    with running(server, work / f"log-{width}") as found:
        yield Client(found.url, found.pid)


def median_of(costs: Sequence[Cost]) -> Cost:
    """The medians of several rounds."""
    return replace(
        costs[0],
        processor=statistics.median(each.processor for each in costs),
        latency=statistics.median(each.latency for each in costs),
    )


def main() -> None:
    """Measure all, in rounds, and print a table."""
    lines = [machine.describe(), "", "| | memory | processor | median |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="steps-") as work, contextlib.ExitStack() as stack:
        clients = {width: stack.enter_context(serving(Path(work), width)) for width in (0, *WIDTHS)}
        cases = [("predict", 0), *(("step", width) for width in clients)]
        rounds = [
            [clients[width].measure(operation) for operation, width in cases] for _ in range(ROUNDS)
        ]
    for place, (operation, width) in enumerate(cases):
        cost = median_of([each[place] for each in rounds])
        state = f", a state of {width * 4 / 1000:g} kB" if width else ""
        lines.append(
            f"| `/{operation}`{state} | {cost.memory:,} | {cost.processor:,.0f} us "
            f"| {cost.latency:,.0f} us |"
        )
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
