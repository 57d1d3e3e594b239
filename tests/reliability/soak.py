"""A long run under load in which everything happens: `python -m tests.reliability.soak`.

Clients ask without end, half of them on kept connections, half on a fresh one for each request,
while workers are killed and hang, the server is reloaded, renewed and upgraded, files are spoilt,
the store is away, and versions are swapped. Every answer is compared with the version that it
names, every connection that broke with the deaths of processes, and what the server holds
(memory, processes, descriptors, files) with what it held before.
"""

import argparse
import itertools
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.reliability.disturbances import DISTURBANCES, Death, Trial, swap
from tests.support.checkout import copy_program
from tests.support.churn import ASK, SCHEMA, children, mixed_up
from tests.support.crowd import Broken, Crowd
from tests.support.server import free_port, run_command, running_in

KEPT = 3
QUIET_LOOKS = 30
SETTLING_SWAPS = 2 * KEPT
"""Until then there are fewer versions than are kept, and allocators still grow their pools."""
HUNG_SECONDS = 6
"""Of silence, after which the master takes a worker for hung."""
THIRDS = 3

logger = logging.getLogger(__name__)

Disturbance = Callable[[Trial], None]


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        seconds: At least; the last round is finished.
        rounds: At least.
        fresh: How many of the clients open a connection for each request.
        disturbances: What happens in each round, in this order.
        every: Seconds from one disturbance to the next, if it is over by then.
    """

    seconds: float
    clients: int
    fresh: int
    workers: int
    disturbances: Sequence[Disturbance] = DISTURBANCES
    every: float = 0.0
    rounds: int = 1


@dataclass(frozen=True)
class Sample:
    """What the server holds at one moment, all its processes together.

    Attributes:
        memory: Proportional set size, bytes.
        files: Below BASE_PATH and below the folder for temporary files.
    """

    memory: int
    processes: int
    descriptors: int
    files: int


SPARE_SECONDS = 4.0
"""In which each worker has its spare process of the preprocessor beside the one that works."""


@dataclass
class Soak:
    """What came of a run.

    Attributes:
        happened: How often each disturbance did.
        statuses: Of all answers.
        wrong: Answers that were not those of one whole version.
        lost: Requests that nobody answered, and for which no process had died.
        broken: Connections on which a process died.
        retried: Kept connections that ended before an answer, of which no process had died.
        p99_seconds: Of all answers.
        samples: One after each disturbance.
        quiet: Before the clients began, and after they had ended.
    """

    seconds: float
    happened: Counter[str]
    statuses: Counter[int]
    wrong: int
    lost: list[Broken]
    broken: int
    retried: list[Broken]
    p99_seconds: float
    longest_seconds: float
    samples: list[Sample]
    quiet: tuple[Sample, Sample]

    @property
    def growth(self) -> float:
        """Of the least memory, from the first third of the samples to the last, as a fraction.

        What is lost raises the least, too; what is held for a moment does not.
        """
        memory = [sample.memory for sample in self.samples]
        third = max(len(memory) // THIRDS, 1)
        return min(memory[-third:]) / min(memory[:third]) - 1

    def left_over(self) -> dict[str, tuple[int, int]]:
        """What there is more of than before: processes, descriptors, files."""
        before, after = self.quiet
        counts = {
            "processes": (before.processes, after.processes),
            "descriptors": (before.descriptors, after.descriptors),
            "files": (before.files, after.files),
        }
        return {name: (first, last) for name, (first, last) in counts.items() if last > first}


def soak(folder: Path, plan: Plan) -> Soak:
    """Let everything happen for so long, while clients ask.

    Args:
        folder: An empty one, for all that the server reads and writes.
        plan: What is run.
    """
    with _trial(folder, plan.workers) as trial:
        for _ in range(SETTLING_SWAPS):
            swap(trial)
        time.sleep(SPARE_SECONDS)
        look = (trial, [trial.base, folder / "temporary"])
        before, samples, happened = _sample(*look), [], Counter[str]()
        with Crowd(trial.server.port, plan.clients, ASK, plan.fresh).asking() as crowd:
            start = due = time.monotonic()
            for number, disturbance in enumerate(itertools.cycle(plan.disturbances)):
                rounds, more = divmod(number, len(plan.disturbances))
                is_due = rounds >= plan.rounds and time.monotonic() > start + plan.seconds
                if not more and is_due:
                    break
                began = time.monotonic()
                disturbance(trial)
                happened[disturbance.__name__] += 1
                logger.info("%s: %.1f s", disturbance.__name__, time.monotonic() - began)
                samples.append(_sample(*look))
                due += plan.every
                time.sleep(max(due - time.monotonic(), 0.0))
            seconds = time.monotonic() - start
        quiet = before, _quiet(before, *look)
        excused = [each for each in crowd.broken if _has_died(each, trial.deaths)]
        took = [answer.seconds for answer in crowd.answers]
        return Soak(
            seconds,
            happened,
            Counter(answer.status for answer in crowd.answers),
            len(mixed_up(crowd.answers, trial.numbers)),
            [each for each in crowd.lost if each not in excused],
            len(excused),
            [each for each in crowd.broken if each.retried and each not in excused],
            float(np.quantile(took, 0.99)),
            max(took),
            samples,
            quiet,
        )


@contextmanager
def _trial(folder: Path, workers: int) -> Iterator[Trial]:
    base, temporary = folder / "instance", folder / "temporary"
    temporary.mkdir()
    made = run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    program, port = copy_program(folder / "program"), free_port()
    command = [str(Path(sys.executable).with_name("gunicorn")), "app:app", "-w", str(workers)]
    command += ["-b", f"127.0.0.1:{port}", "--timeout", str(HUNG_SECONDS)]
    settings = {"POLICY_SERVER_KEEP_VERSIONS": str(KEPT), "TMPDIR": str(temporary)}
    with running_in(program, command, port, base, settings) as server:
        trial = Trial(server, program, base, workers, KEPT, server.process.pid)
        try:
            yield trial
        finally:
            trial.end()


def _quiet(before: Sample, trial: Trial, folders: list[Path]) -> Sample:
    """What is held once nothing is under way: what is lost stays, however long one waits."""
    for _ in range(QUIET_LOOKS):
        time.sleep(0.5)  # connections are being closed, spare processes are being started
        found = _sample(trial, folders)
        pairs = zip(astuple(found)[1:], astuple(before)[1:], strict=True)  # less memory
        if all(now <= then for now, then in pairs):
            break
    return found


def _has_died(broken: Broken, deaths: Sequence[Death]) -> bool:
    """Whether a process was being killed while this connection was open."""
    return any(death.start <= broken.at and death.end >= broken.since for death in deaths)


def _sample(trial: Trial, folders: list[Path]) -> Sample:
    """What the server holds now."""
    while True:
        with suppress(FileNotFoundError, ProcessLookupError):  # what ends meanwhile is not counted
            pids = [trial.master, *_descendants(trial.master)]
            return Sample(
                sum(_memory(pid) for pid in pids),
                len(pids),
                sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),  # noqa: PTH208
                sum(1 for folder in folders for _ in folder.rglob("*")),
            )


def _descendants(pid: int) -> list[int]:
    found = []
    for child in children(pid):
        found += [child, *_descendants(child)]
    return found


def _memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("Pss:")]
    return int(kilobytes) * 1024


def main() -> None:
    """Run a soak, print its figures, and end with 1 where something was wrong or lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--only", choices=[each.__name__ for each in DISTURBANCES])
    parser.add_argument("--every", type=float, default=0.0, help="seconds between disturbances")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    only = [each for each in DISTURBANCES if given.only in (None, each.__name__)]
    plan = Plan(given.seconds, given.clients, given.clients // 2, given.workers, only, given.every)
    with TemporaryDirectory() as folder:
        run = soak(Path(folder), plan)
    print(_told(run))
    raise SystemExit(bool(run.wrong or run.lost or set(run.statuses) != {200}))


def _told(run: Soak) -> str:
    before, after = run.quiet
    happened = ", ".join(f"{name} {times}" for name, times in run.happened.items())
    rows = [
        ("memory, MB", round(before.memory / 1e6), round(after.memory / 1e6)),
        ("processes", before.processes, after.processes),
        ("descriptors", before.descriptors, after.descriptors),
        ("files", before.files, after.files),
    ]
    return "\n".join(
        [
            f"{run.seconds:.0f} s: {happened}",
            f"{run.statuses.total()} answers, by status {dict(run.statuses)}, {run.wrong} wrong",
            f"{run.broken} connections of killed processes broken, {len(run.lost)} requests lost, "
            f"{len(run.retried)} asked again on another connection",
            f"p99 {run.p99_seconds * 1e3:.0f} ms, longest {run.longest_seconds:.1f} s, "
            f"memory growth {run.growth:.2%}",
            "| | before | after |\n|---|---|---|",
            *(f"| {name} | {first} | {last} |" for name, first, last in rows),
            *(f"{each}" for each in [*run.lost, *run.retried][:20]),
        ]
    )


if __name__ == "__main__":
    main()
