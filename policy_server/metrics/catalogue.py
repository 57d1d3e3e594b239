"""Every metric, once: what docs/metrics.md lists, dashboards ask, and `/metrics` answers."""

from dataclasses import dataclass
from typing import Literal

PREFIX = "policy_server"
NANOSECONDS = 1_000_000_000
BYTES_PER_LABEL = 64
"""A longer label is cut: nothing that a client sends becomes one."""


Type = Literal["counter", "gauge", "histogram"]
"""What a metric is, in the words of OpenMetrics."""


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: Without what its type adds to it (`_total`, `_bucket`).
        type: Whether it only rises, rises and falls, or is a distribution.
        help: One sentence.
        labels: Names of its labels.
        unit: The last word of its name, where that is a unit.
        scale: Its values are kept as whole numbers, so many to one of the unit.
        bounds: Of the buckets of a histogram, as they are kept.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    scale: int = 1
    bounds: tuple[int, ...] = ()


def _metric(of: Type, name: str, text: str, *labels: str, unit: str = "") -> Metric:
    scale = NANOSECONDS if unit == "seconds" else 1
    return Metric(f"{PREFIX}_{name}", of, text, labels, unit, scale)


def _histogram(
    name: str, text: str, *labels: str, unit: str = "", bounds: tuple[float, ...]
) -> Metric:
    scale = NANOSECONDS if unit == "seconds" else 1
    kept = tuple(round(bound * scale) for bound in bounds)
    return Metric(f"{PREFIX}_{name}", "histogram", text, labels, unit, scale, kept)


LATENCIES = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0)
STAGES = ("decode", "queue", "preprocess", "run", "answer")

REQUESTS = _metric(
    "counter",
    "requests",
    "Requests that were answered.",
    *("policy", "operation", "status", "version"),
)
REQUEST_DURATION = _histogram(
    "request_duration_seconds",
    "From when a request is there to when its answer is written.",
    *("policy", "operation"),
    unit="seconds",
    bounds=LATENCIES,
)
STAGE_DURATION = _histogram(
    "stage_duration_seconds",
    "What decisions spend their time on: decode, queue, preprocess, run, answer.",
    *("policy", "stage"),
    unit="seconds",
    bounds=LATENCIES,
)
BATCH_ROWS = _histogram(
    "batch_rows", "Observations that the network ran together.", "policy", bounds=ROWS
)
WAITING = _metric(
    "gauge", "waiting_decisions", "Decisions that wait for their turn, in all workers.", "policy"
)
DEADLINES = _metric(
    "counter",
    "deadlines_exceeded",
    "Requests that were not decided within the time that their clients gave.",
    "policy",
)
OVERLOADS = _metric(
    "counter", "overloaded", "Requests turned away because too many waited.", "policy"
)
SWAPS = _metric(
    "counter", "swaps", "How often a worker took up a version, its first one included.", "policy"
)
BUILDS = _metric(
    "counter", "builds", "Builds of versions, by what came of them.", "policy", "outcome"
)
BUILD_TIME = _metric(
    "counter",
    "build_duration_seconds",
    "Time that builds took, by what came of them.",
    *("policy", "outcome"),
    unit="seconds",
)
STARTS = _metric("counter", "worker_starts", "Workers that began to serve.")
DEATHS = _metric(
    "counter", "worker_deaths", "Workers that ended without having stopped in good order."
)
WORKERS = _metric("gauge", "workers", "Workers that serve.")
MEMORY = _metric(
    "gauge", "worker_memory_bytes", "Resident memory of a worker.", "worker", unit="bytes"
)
CONNECTIONS = _metric(
    "gauge", "open_connections", "Connections of clients that a worker keeps.", "worker"
)
ACTIVE = _metric(
    "gauge", "active_version", "How many workers decide with a version.", "policy", "version"
)
DEGRADED = _metric(
    "gauge",
    "degraded",
    "How many workers decide with something to be mended: damaged files, a version in another's "
    "place, an engine that is slower than it was built to be.",
    "policy",
)
BUILD_INFO = _metric(
    "gauge",
    "build_info",
    "How many workers run a release of the server, of Python, and of the engine.",
    *("release", "python", "engine"),
)

METRICS: tuple[Metric, ...] = (
    *(REQUESTS, REQUEST_DURATION, STAGE_DURATION, BATCH_ROWS, WAITING, DEADLINES, OVERLOADS),
    *(ACTIVE, SWAPS, DEGRADED, BUILDS, BUILD_TIME),
    *(WORKERS, STARTS, DEATHS, MEMORY, CONNECTIONS, BUILD_INFO),
)
"""In the order in which they are shown."""
BY_NAME = {metric.name: metric for metric in METRICS}
