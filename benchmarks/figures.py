"""The raw figures of a run: kept as JSON, summed up as medians and ratios to the floor."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.wrk import Load

FLOOR = "floor"


@dataclass(frozen=True)
class Row:
    """What is said about a server.

    Attributes:
        name: As `--only` takes it.
        title: As tables show it.
        group: Which table it belongs to.
        items: Observations in a request.
        size: What grows, in tables of growth.
    """

    name: str
    title: str
    group: str = "comparison"
    items: int = 1
    size: int = 0


@dataclass(frozen=True)
class Measurement:
    """One server in one round.

    Attributes:
        subject: Its name.
        round: Counted from 1.
        cold_start_seconds: From process start to the first right answer.
        memory_bytes: Of all its processes, after the load.
        loads: What wrk found, by number of connections.
        fault: Why it does not count; None where it does.
    """

    subject: str
    round: int
    cold_start_seconds: float = 0.0
    memory_bytes: int = 0
    loads: Mapping[int, Load] = field(default_factory=dict)
    fault: str | None = None


@dataclass(frozen=True)
class Steady:
    """Memory of this server while it works on and on.

    Attributes:
        requests: Answered so far.
        memory_bytes: Of all its processes then.
    """

    requests: int
    memory_bytes: int


@dataclass
class Figures:
    """Everything that was found.

    Attributes:
        machine: What it was found on, in words.
        seconds: Length of each run of wrk.
        rows: The servers, in the order of the tables.
        measurements: In the order in which they were made.
        steady: Memory over many requests.
    """

    machine: str
    seconds: int
    rows: list[Row]
    measurements: list[Measurement] = field(default_factory=list)
    steady: list[Steady] = field(default_factory=list)

    def of(self, name: str) -> list[Measurement]:
        """The measurements of a server that count."""
        return [one for one in self.measurements if one.subject == name and not one.fault]

    def fault(self, name: str) -> str | None:
        """Why a server has no row of figures; None where it has."""
        faults = [one.fault for one in self.measurements if one.subject == name and one.fault]
        if faults:
            return faults[0]
        return None if self.of(name) else "it was not measured"

    def median(self, name: str, value: Callable[[Measurement], float]) -> float:
        """The median over rounds."""
        return statistics.median(value(one) for one in self.of(name))

    def ratio(self, name: str, value: Callable[[Measurement], float]) -> float | None:
        """The median over rounds of the ratio to the floor of the same round, if it was run."""
        floors = {one.round: value(one) for one in self.of(FLOOR)}
        ratios = [value(one) / floors[one.round] for one in self.of(name) if floors.get(one.round)]
        return statistics.median(ratios) if ratios else None

    def group(self, *groups: str) -> list[Row]:
        """The rows of some tables."""
        return [row for row in self.rows if row.group in groups]

    @property
    def rounds(self) -> int:
        """How many there were."""
        return max((one.round for one in self.measurements), default=0)


def throughput(connections: int) -> Callable[[Measurement], float]:
    """Requests per second at that many connections."""
    return lambda found: found.loads[connections].requests_per_second


def latency(connections: int) -> Callable[[Measurement], float]:
    """Median latency, in microseconds, at that many connections."""
    return lambda found: float(found.loads[connections].p50_microseconds)


def memory(found: Measurement) -> float:
    """Bytes after the load."""
    return float(found.memory_bytes)


def cold_start(found: Measurement) -> float:
    """Seconds to the first decision."""
    return found.cold_start_seconds


def write_figures(figures: Figures, path: Path) -> None:
    """Keep figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(figures), indent=1) + "\n", encoding="utf-8")


def read_figures(path: Path) -> Figures:
    """Read what `write_figures` wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    found["rows"] = [Row(**row) for row in found["rows"]]
    found["measurements"] = list(_measurements(found["measurements"]))
    found["steady"] = [Steady(**one) for one in found["steady"]]
    return Figures(**found)


def _measurements(found: Iterable[dict[str, Any]]) -> Iterable[Measurement]:
    for one in found:
        loads = {int(connections): Load(**load) for connections, load in one["loads"].items()}
        yield Measurement(**{**one, "loads": loads})
