"""What metrics and traces cost: one server with them and without, by turns; and a decision.

One request of a hundred is of a trace that is recorded, and told to a collector.

`make benchmark-metrics` prints the table. turns.py says why one server is both.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import networks, ours
from benchmarks.processes import NotServing, running
from benchmarks.subjects import AUTHORIZATION, Subject, decision_check
from benchmarks.turns import RESULTS, Turn
from benchmarks.wrk import run_wrk
from policy_server.contract.operations import OPERATIONS
from policy_server.metrics.recorder import Noted, Recorder
from policy_server.serving.stages import Stages, now
from policy_server.web.gathering import MOST_GATHERED

FIELDS, HIDDEN = 10, 64
CONNECTIONS = (1, 16, 64)
GROUPS, REPEATS = 30, 100
PARTS = 10
APP = "benchmarks.app_by_turns:app"
SAMPLED_EVERY = 100
"""So many requests for one whose trace is recorded, as tracing usually samples."""


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


def measure(folder: Path, seconds: int) -> dict[int, list[float]]:
    """Throughput with metrics and traces, as a share of that without.

    By connections; of each tenth of the time that they were asked for.

    Args:
        folder: Empty.
        seconds: Length of each run of wrk.

    Raises:
        NotServing: The server does not answer as it should.
    """
    made, content, results = folder / "policy", folder / "body", folder / "turns.json"
    body = networks.write_policy(made, FIELDS, HIDDEN)
    ours.publish(made, folder / "instance")
    content.write_bytes(body)
    windows = {}
    with _collector() as collector:
        subject = _subject(folder / "instance", body, collector, results)
        with running(subject, folder / "log") as server:
            for count in CONNECTIONS:
                began = time.perf_counter_ns()
                load = run_wrk(
                    server.url, content, AUTHORIZATION, count, seconds, sampled_every=SAMPLED_EVERY
                )
                if load.fault:
                    raise NotServing(load.fault)
                windows[count] = (began, time.perf_counter_ns())
    turns = [Turn(*each) for each in json.loads(results.read_text(encoding="utf-8"))]
    return {count: _shares(turns, *window) for count, window in windows.items()}


def _shares(turns: Sequence[Turn], began: int, ended: int) -> list[float]:
    """Of what lies between two moments; of each part."""
    within = [turn for turn in turns if began < turn.began and turn.ended < ended]
    size = len(within) // PARTS
    return [_share(within[at : at + size]) for at in range(0, PARTS * size, size)]


def _share(turns: Sequence[Turn]) -> float:
    """What is answered with metrics in a second, as a share of what is without.

    The median of all turns beside the next one. The thread that tells the collector works in turns
    of both kinds, for what one kind gives it: what it takes is taken off that one, twice, as for
    all requests it would work twice as long.
    """
    ratios = []
    for pair in pairwise(turns):
        on, off = sorted(pair, key=lambda turn: not turn.measured)
        took_on, took_off = on.ended - on.began, off.ended - off.began
        ratios.append(on.requests / took_on / (off.requests / took_off))
    first, last = turns[0], turns[-1]
    exporting = (last.exporting - first.exporting) / (last.ended - first.ended)
    return median(ratios) * (1 - 2 * exporting)


def _subject(base_path: Path, body: bytes, collector: str, results: Path) -> Subject:
    subject = ours.subject(base_path, body, decision_check(None), name="turns", title="by turns")
    settings = {
        "POLICY_SERVER_METRICS": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        RESULTS: str(results),
    }
    command = [APP if each == "app:app" else each for each in subject.command]
    return replace(subject, command=tuple(command), environment={**subject.environment, **settings})


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


def main(arguments: Sequence[str]) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each number of connections")
    options = parser.parse_args(arguments)
    lines = [
        f"One decision: {cost_of_a_decision():.2f} microseconds of the processor",
        "| connections | throughput with metrics | tenths of the time |",
        "|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory(prefix="benchmark") as folder:
        for count, shares in measure(Path(folder), options.seconds).items():
            lines.append(
                f"| {count} | {median(shares):.1%} | {min(shares):.1%} to {max(shares):.1%} |"
            )
    sys.stdout.write("\n".join([*lines, ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
