"""Runs wrk, the load generator, and reads what it found."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("post.lua")
ANSWER_SECONDS = 10
"""An answer that takes longer counts as none."""


@dataclass(frozen=True)
class Load:
    """What one run of wrk found.

    Attributes:
        requests: Answers that came.
        seconds: How long the run took.
        p50_microseconds: Median latency.
        p99_microseconds: Latency of the slowest hundredth.
        refused: Answers with a status of 400 or above.
        broken: Connections that could not be made, read or written.
        timeouts: Requests that had no answer in time.
    """

    requests: int
    seconds: float
    p50_microseconds: int
    p99_microseconds: int
    refused: int
    broken: int
    timeouts: int

    @property
    def requests_per_second(self) -> float:
        """Throughput."""
        return self.requests / self.seconds

    @property
    def fault(self) -> str | None:
        """Why the run does not count; None where it does."""
        if self.refused or self.broken or self.timeouts:
            return (
                f"{self.refused} refused, {self.broken} broken off and {self.timeouts} "
                f"too late of {self.requests} requests"
            )
        return None if self.requests else "no request was answered"


def read_load(output: str) -> Load:
    """Read the line of JSON with which post.lua ends.

    Raises:
        ValueError: There is none.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"wrk gave no figures: {output}")
    found = json.loads(lines[-1])
    return Load(seconds=found.pop("microseconds") / 1e6, **found)


def run_wrk(
    url: str,
    body: Path,
    authorization: str | None,
    connections: int,
    seconds: int,
    *,
    differing: bool = False,
    sampled_every: int = 0,
) -> Load:
    """Post a body over and over, on one thread.

    Args:
        url: On this machine.
        body: File of what is posted.
        authorization: Header of that name.
        connections: How many are kept open, each with one request on its way at a time.
        seconds: How long.
        differing: Each request has an id and a trace of its own.
        sampled_every: One request of so many is of a trace that is recorded; 0: none is.
    """
    given = {"BODY": str(body)} | ({"AUTHORIZATION": authorization} if authorization else {})
    given |= {"DIFFERING": "1"} if differing else {}
    given |= {"SAMPLED_EVERY": str(sampled_every)} if sampled_every else {}
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s"]
    done = subprocess.run(
        [*command, "-s", str(SCRIPT), url],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    return read_load(done.stdout + done.stderr)
