"""What happened between readings of a server's metrics: rates, latencies, errors."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from policy_server.contract.operations import OPERATIONS, Body
from policy_server.frontend.metrics_reading import Labels, Metrics

MAX_STEPS = 150
"""Five minutes, read every two seconds."""
LATENCY_STEPS = 15
"""A latency is that of the last half a minute: of few requests it would jump."""
FIRST_ERROR = 400
DECIDES = (Body.OBSERVATION, Body.BATCH, Body.STEP, Body.STEPS, Body.FEATURES)
NO_OPERATION = "none"
"""How the metrics call what is asked at other paths."""


@dataclass(frozen=True)
class Step:
    """From one reading to the next.

    Attributes:
        at: When it ended.
        seconds: How long it took.
        requests: That were answered in it, by operation, status and version; None where the
            metrics could not be read at its end.
        buckets: How many decisions took at most so long, by the bound in seconds.
        median: Latency of the last decisions in seconds; None where there was none.
        slow: Within how many seconds 99 % of them were answered.
    """

    at: datetime
    seconds: float
    requests: Mapping[Labels, float] | None
    buckets: Mapping[float, float] = field(default_factory=dict)
    median: float | None = None
    slow: float | None = None

    def rate(self, *, decisions: bool) -> float | None:
        """Requests a second: those for decisions, or all others; None where nothing is known."""
        if self.requests is None:
            return None
        counted = (n for labels, n in self.requests.items() if is_decision(labels[0]) == decisions)
        return sum(counted) / self.seconds


@dataclass
class History:
    """The last steps, and what the last reading said.

    Attributes:
        steps: The latest last.
        last: The last reading that there is.
        fault: Why the metrics cannot be read now; empty where they can.
    """

    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=MAX_STEPS))
    last: Metrics | None = None
    fault: str = ""
    _read: float = 0.0

    def add(self, metrics: Metrics, seconds: float, at: datetime) -> None:
        """Take up a reading.

        Args:
            metrics: That was read.
            seconds: When, on a clock that never goes back.
            at: When, as people say it.
        """
        if self.last is not None and seconds > self._read:
            requests = increases(self.last.requests, metrics.requests)
            buckets = _of_decisions(taken_up(self.last.buckets, metrics.buckets))
            last = [step.buckets for step in [*self.steps][1 - LATENCY_STEPS :]]
            taken = _summed([*last, buckets])
            latencies = [quantile(taken, share) for share in (0.5, 0.99)]
            self.steps.append(Step(at, seconds - self._read, requests, buckets, *latencies))
        self.last, self._read, self.fault = metrics, seconds, ""

    def miss(self, fault: str, at: datetime) -> None:
        """Take up that the metrics could not be read. The next step is that since the last one."""
        self.fault = fault
        if self.last is not None:
            self.steps.append(Step(at, 0.0, None))

    def errors(self) -> dict[str, float]:
        """How many requests of all steps were answered with an error, by status."""
        return self._counted(1, lambda labels: _is_error(labels[1]))

    def by_version(self) -> dict[str, float]:
        """How many requests of all steps each version has decided."""
        return self._counted(2, lambda labels: labels[2] != "")

    def _counted(self, index: int, counts: Callable[[Labels], bool]) -> dict[str, float]:
        """How many requests of all steps count, by one of their labels."""
        found: dict[str, float] = defaultdict(float)
        for step in self.steps:
            for labels, count in (step.requests or {}).items():
                if counts(labels):
                    found[labels[index]] += count
        return dict(sorted(found.items()))


def is_decision(operation: str) -> bool:
    """Whether requests of an operation ask for decisions; those of other protocols do."""
    if operation == NO_OPERATION:
        return False
    return operation not in OPERATIONS or OPERATIONS[operation].body in DECIDES


def _is_error(status: str) -> bool:
    """Of many series the metrics keep some together; their status is no number."""
    return status.isascii() and status.isdigit() and int(status) >= FIRST_ERROR


def increases(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[Labels, float]:
    """By how much counters have grown; one that is lower than before began again at 0."""
    return {
        labels: grown
        for labels, value in after.items()
        if (grown := value - before.get(labels, 0.0) if value >= before.get(labels, 0.0) else value)
    }


def taken_up(before: Mapping[Labels, float], after: Mapping[Labels, float]) -> dict[Labels, float]:
    """By how much histograms have grown.

    One that is lower anywhere began again as a whole. Buckets that have not grown stay: the next
    one begins where they end.
    """
    again = {labels[0] for labels, value in after.items() if value < before.get(labels, 0.0)}
    return {
        labels: value if labels[0] in again else value - before.get(labels, 0.0)
        for labels, value in after.items()
    }


def quantile(taken: Mapping[float, float], share: float) -> float | None:
    """What a histogram says of that share: linear within a bucket, as Prometheus has it.

    Args:
        taken: How many took at most so long, by the bound.
        share: From 0 to 1.
    """
    bounds = sorted(taken)
    if not bounds or not taken[bounds[-1]]:
        return None
    wanted, lower, below = share * taken[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if taken[bound] >= wanted:
            if bound == float("inf"):
                return lower  # longer than can be told
            inside = (wanted - below) / (taken[bound] - below) if taken[bound] > below else 1.0
            return lower + inside * (bound - lower)
        lower, below = bound, taken[bound]
    return lower


def _of_decisions(buckets: Mapping[Labels, float]) -> dict[float, float]:
    """The histograms of all operations that decide, as one."""
    chosen = [labels for labels in buckets if is_decision(labels[0])]
    return _summed([{float(labels[1]): buckets[labels]} for labels in chosen])


def _summed(histograms: Iterable[Mapping[float, float]]) -> dict[float, float]:
    total: dict[float, float] = defaultdict(float)
    for histogram in histograms:
        for bound, count in histogram.items():
            total[bound] += count
    return total
