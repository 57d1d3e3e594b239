"""Measures servers in rounds, each server once a round, so that drift of the machine hits all."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Measurement, Steady
from benchmarks.processes import NotServing, Running, running
from benchmarks.subjects import Subject
from benchmarks.wrk import Load, run_wrk

WARM_SECONDS = 1
STEADY_CONNECTIONS = 64
STEADY_LOOKS = 10
STEADY_LIMIT_SECONDS = 900.0

Tell = Callable[[str], None]
"""Says what is being done."""


def run_rounds(
    subjects: Sequence[Subject], rounds: int, seconds: int, work: Path, tell: Tell
) -> Iterator[Measurement]:
    """Measure every server in every round; each round begins with another one.

    Args:
        subjects: The servers.
        rounds: How many.
        seconds: Length of each run of wrk.
        work: Folder for logs.
        tell: Told about each measurement.
    """
    for number in range(rounds):
        first = number * len(subjects) // rounds
        for subject in [*subjects[first:], *subjects[:first]]:
            found = measure(subject, number + 1, seconds, work)
            tell(f"round {number + 1} of {rounds}: {subject.name}: {_in_words(found)}")
            yield found


def measure(subject: Subject, number: int, seconds: int, work: Path) -> Measurement:
    """Start a server, load it at each number of connections, weigh it, end it."""
    body = work / f"{subject.name}.body"
    body.write_bytes(subject.body)
    try:
        with running(subject, work / f"{subject.name}.log") as server:
            connections = subject.connections
            load = functools.partial(
                run_wrk, server.url, body, subject.authorization, differing=subject.differing
            )
            load(connections[-1], WARM_SECONDS)
            loads = {count: load(count, seconds) for count in connections}
            weight = server.memory_bytes()
    except (NotServing, ValueError) as error:
        return Measurement(subject.name, number, fault=str(error))
    return Measurement(
        subject.name, number, server.cold_start_seconds, weight, loads, _fault(loads)
    )


def run_steady(
    subject: Subject, requests: int, seconds: int, work: Path, tell: Tell
) -> Iterator[Steady]:
    """Weigh a server again and again while it answers many requests.

    Args:
        subject: The server.
        requests: How many, about.
        seconds: Longest single run of wrk.
        work: Folder for logs.
        tell: Told about each look.
    """
    body = work / f"{subject.name}.body"
    body.write_bytes(subject.body)
    deadline = time.monotonic() + STEADY_LIMIT_SECONDS
    with running(subject, work / f"{subject.name}.log") as server:
        answered = looks = 0
        while answered < requests and time.monotonic() < deadline:
            answered += _load_for(server, subject, body, seconds)
            if answered * STEADY_LOOKS >= requests * (looks + 1):
                looks = answered * STEADY_LOOKS // requests
                found = Steady(answered, server.memory_bytes())
                tell(f"{found.memory_bytes / 1e6:.0f} MB after {answered:,} requests")
                yield found


def _load_for(server: Running, subject: Subject, body: Path, seconds: int) -> int:
    load = run_wrk(server.url, body, subject.authorization, STEADY_CONNECTIONS, seconds)
    if load.fault:
        raise NotServing(load.fault)
    return load.requests


def _fault(loads: dict[int, Load]) -> str | None:
    faults = [f"at {count}: {load.fault}" for count, load in loads.items() if load.fault]
    return "; ".join(faults) or None


def _in_words(found: Measurement) -> str:
    if found.fault:
        return f"failed: {found.fault}"
    rates = [f"{load.requests_per_second:,.0f} at {count}" for count, load in found.loads.items()]
    return f"requests/s {', '.join(rates)}"
