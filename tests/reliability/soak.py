"""A long run under load with swap after swap: `python -m tests.reliability.soak --seconds 1200`.

What may leak is looked at after every swap: memory, processes, descriptors and files of
the server. Each version has a preprocessor, and so a process beside each worker.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from tests.support.churn import ACTIONS, SCHEMA, Crowd, children, parts_of, upload, versions
from tests.support.server import Server, gunicorn, run_command

CLIENTS, WORKERS, KEPT = 4, 2, 3
SETTLING_SWAPS = 2 * KEPT
"""Until then there are fewer versions than are kept, and allocators still grow their pools."""
THIRDS = 3


@dataclass
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


@dataclass
class Soak:
    """What came of a run.

    Attributes:
        samples: One after each swap, once it had settled.
        failures: Answers that were not those of one whole version.
        breaks: Connections that broke with a request under way.
        p99_seconds: Of all answers.
    """

    seconds: float
    swaps: int
    answers: int
    failures: int
    breaks: int
    p99_seconds: float
    samples: list[Sample]

    @property
    def growth(self) -> float:
        """Of memory, from the first third of the samples to the last, as a fraction."""
        memory = [sample.memory for sample in self.samples]
        third = max(len(memory) // THIRDS, 1)
        return median(memory[-third:]) / median(memory[:third]) - 1

    def counts(self, of: Callable[[Sample], int]) -> tuple[int, int]:
        """The first and the last count of something."""
        return of(self.samples[0]), of(self.samples[-1])


def soak(folder: Path, seconds: float, swap_seconds: float) -> Soak:
    """Swap every so many seconds, for so long, while clients ask.

    Args:
        folder: An empty one, for all that the server writes.
        seconds: Of the whole run.
        swap_seconds: From one swap to the next.
    """
    base, temporary = folder / "instance", folder / "temporary"
    temporary.mkdir()
    made = run_command("schema", "-", "--noclients", base_path=base, text=SCHEMA)
    assert made.returncode == 0, made.stderr
    settings = {"POLICY_SERVER_KEEP_VERSIONS": str(KEPT), "TMPDIR": str(temporary)}
    with gunicorn(base, WORKERS, **settings) as server:
        numbers = {_swap(server, 0): 0}
        samples = []
        with Crowd(server.port, CLIENTS).asking() as crowd:
            start = time.monotonic()
            swaps = 0
            while time.monotonic() < start + seconds:
                swaps += 1
                number = swaps % ACTIONS
                numbers[_swap(server, number)] = number
                time.sleep(max(start + swaps * swap_seconds - time.monotonic(), 0.5))
                if swaps >= SETTLING_SWAPS:
                    samples.append(sample(server.process.pid, [base, temporary]))
    answers = crowd.answers
    return Soak(
        time.monotonic() - start,
        swaps,
        len(answers),
        sum(not _sound(answer.body, numbers.get(answer.version)) for answer in answers),
        crowd.breaks.total(),
        float(np.quantile([answer.seconds for answer in answers], 0.99)),
        samples,
    )


def _swap(server: Server, number: int) -> str:
    """Upload a version, and wait until all workers decide with it."""
    version = upload(server.url, parts_of(number, preprocessor=True))
    while [worker["version"] for worker in versions(server.url)["workers"]] != [version] * WORKERS:
        time.sleep(0.02)
    return version


def _sound(body: dict[str, object], number: int | None) -> bool:
    return (body.get("action"), body.get("meaning")) == (number, f"v{number}")


def sample(master: int, folders: list[Path]) -> Sample:
    """What the server holds now."""
    pids = [master, *_descendants(master)]
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
    """Run a soak and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--swap-seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        run = soak(Path(folder), arguments.seconds, arguments.swap_seconds)
    print("| | first | last |\n|---|---|---|")
    for name, of in (
        ("memory, MB", lambda sample: round(sample.memory / 1e6)),
        ("processes", lambda sample: sample.processes),
        ("descriptors", lambda sample: sample.descriptors),
        ("files", lambda sample: sample.files),
    ):
        first, last = run.counts(of)
        print(f"| {name} | {first} | {last} |")
    print(f"\n{run.seconds:.0f} s, {run.swaps} swaps, {run.answers} answers")
    print(f"{run.failures} failures, {run.breaks} broken connections")
    print(f"p99 {run.p99_seconds * 1e3:.0f} ms, memory growth {run.growth:.2%}")


if __name__ == "__main__":
    main()
