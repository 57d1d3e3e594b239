"""What metrics and traces cost: a server with them and one without, asked in turn; and a decision.

One request of a hundred is of a trace that is recorded, and told to a collector.

`make benchmark-metrics` prints the table. Both servers run all the time, so that whatever else the
machine does meets both; the ratio of each round counts, and the median of the ratios.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import networks, ours
from benchmarks.processes import NotServing, Running, family, running
from benchmarks.subjects import AUTHORIZATION, Subject, decision_check
from benchmarks.wrk import run_wrk
from policy_server.contract.operations import OPERATIONS
from policy_server.metrics.recorder import Noted, Recorder
from policy_server.serving.stages import Stages, now
from policy_server.web.gathering import MOST_GATHERED

FIELDS, HIDDEN = 10, 64
CONNECTIONS = (1, 16, 64)
GROUPS, REPEATS = 30, 100
ON, OFF = "true", "false"
SAMPLED_EVERY = 100
"""So many requests for one whose trace is recorded, as tracing usually samples."""
USER_TICKS, SYSTEM_TICKS = 11, 12
"""Of the words of /proc/PID/stat behind the name."""


class _Target(NamedTuple):
    """What a request was for, as far as it is counted."""

    policy: str = "default"


TARGET = _Target()


def cost_of_a_decision() -> float:
    """Microseconds of the processor that a decision costs more: its marks, its share of a group.

    The least of many repeats: what else runs on the machine only adds to it.
    """
    requests = Recorder([*OPERATIONS]).requests

    def decide() -> Noted:
        stages = Stages()
        stages.began = now()
        stages.decoded = stages.taken = taken = now()
        made = now()
        stages.preprocess = made - taken
        stages.ran = ran = now()
        stages.run, stages.rows = ran - made, 1
        stages.answered = now()
        return ("predict", 200, b"1-0a1b2c3d", b"", None, stages, TARGET)

    def once() -> float:
        began = time.process_time()
        for _ in range(GROUPS):
            requests([decide() for _ in range(MOST_GATHERED)])
        return (time.process_time() - began) / GROUPS / MOST_GATHERED

    return min(once() for _ in range(REPEATS)) * 1e6


def measure(folder: Path, rounds: int, seconds: int) -> dict[int, list[tuple[float, float]]]:
    """With metrics, as a share of without: throughput, and the processor's time for a request.

    By connections; of each round.

    Args:
        folder: Empty.
        rounds: How many; each begins with the other server.
        seconds: Length of each run of wrk.

    Raises:
        NotServing: A server does not answer as it should.
    """
    made = folder / "policy"
    body = networks.write_policy(made, FIELDS, HIDDEN)
    ours.publish(made, folder / "instance")
    content = folder / "body"
    content.write_bytes(body)
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in CONNECTIONS}
    with contextlib.ExitStack() as stack:
        servers: dict[str, Running] = {}
        collector = stack.enter_context(_collector())
        for wanted in (ON, OFF):
            subject = _subject(folder / "instance", body, wanted, collector)
            servers[wanted] = stack.enter_context(running(subject, folder / f"{wanted}.log"))
        for number in range(rounds):
            order = (ON, OFF) if number % 2 else (OFF, ON)
            for count in CONNECTIONS:
                loads = {}
                for each in order:
                    before = _processor_seconds(servers[each].pid)
                    load = run_wrk(
                        servers[each].url,
                        content,
                        AUTHORIZATION,
                        count,
                        seconds,
                        sampled_every=SAMPLED_EVERY,
                    )
                    spent = _processor_seconds(servers[each].pid) - before
                    if load.fault:
                        raise NotServing(load.fault)
                    loads[each] = (load.requests_per_second, spent / load.requests)
                found[count].append((loads[ON][0] / loads[OFF][0], loads[ON][1] / loads[OFF][1]))
    return found


def _subject(base_path: Path, body: bytes, wanted: str, collector: str) -> Subject:
    subject = ours.subject(base_path, body, decision_check(None), name=wanted, title=wanted)
    settings = {"POLICY_SERVER_METRICS": wanted}
    settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector} if wanted == ON else {}
    return replace(subject, environment={**subject.environment, **settings})


class _Takes(BaseHTTPRequestHandler):
    """A collector that takes everything, so that its own work is not measured."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def _collector() -> Iterator[str]:
    """Where a collector listens."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Takes)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _processor_seconds(pid: int) -> float:
    """What a server and all its processes have used so far."""
    ticks = 0
    for each in family(pid):
        after_name = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[USER_TICKS]) + int(after_name[SYSTEM_TICKS])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(arguments: Sequence[str]) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    options = parser.parse_args(arguments)
    lines = [
        f"One decision: {cost_of_a_decision():.2f} microseconds of the processor",
        "| connections | throughput with metrics | rounds | processor for a request | rounds |",
        "|---:|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        for count, found in measure(Path(folder), options.rounds, options.seconds).items():
            columns = (_column([each[index] for each in found]) for index in (0, 1))
            lines.append(f"| {count} | {' | '.join(columns)} |")
    sys.stdout.write("\n".join([*lines, ""]))


def _column(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.1%} | {min(ratios):.0%} to {max(ratios):.0%}"


if __name__ == "__main__":
    main(sys.argv[1:])
