"""Fuzz every reader, then HTTP: `python -m tests.fuzz [CASES [SEED]]`.

CASES (1,000,000) are run over all readers together, and as many streams of bytes are sent to the
whole application, with the short cut of the protocol and without it. What is found is printed, and
ends this with 1. Programs run two at a time.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.readers import TARGETS
from tests.support.checkout import ROOT
from tests.web.streams_ground import ground, settings

CASES, SEED = 1_000_000, 1
AT_A_TIME = 2
MOST_LINES = 40
Outcome = tuple[str, bool, str]


def fuzz(name: str, cases: int, seed: int) -> Outcome:
    """Fuzz one reader: its name, whether nothing was found, and what it says."""
    done = ran([sys.executable, "-m", "tests.fuzz.run", name, str(cases), str(seed)])
    return name, *done


def stream(cases: int, seed: int) -> Outcome:
    """Send streams to the application: the same."""
    with TemporaryDirectory(prefix="fuzz-streams-") as folder:
        environment = settings(ground(Path(folder)))
        done = ran(
            [sys.executable, "-m", "tests.web.differential", str(cases), str(seed)], environment
        )
    return "streams", *done


def ran(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[bool, str]:
    """Whether a program found nothing, and its last line; or the lines that say what it found."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and told:
        return True, told[-1]
    return False, "\n".join(done.stdout.splitlines()[-MOST_LINES:])


def main() -> int:
    """Run everything; returns how many programs found something."""
    given = [int(word) for word in sys.argv[1:]]
    cases, seed = (given + [CASES, SEED][len(given) :])[:2]
    shares = sum(target.share for target in TARGETS.values())
    began, found = time.monotonic(), 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running = [
            pool.submit(fuzz, name, cases * target.share // shares, seed)
            for name, target in TARGETS.items()
        ]
        part = cases // AT_A_TIME
        running += [pool.submit(stream, part, seed + part * at) for at in range(AT_A_TIME)]
        for each in running:
            name, sound, told = each.result()
            found += not sound
            print(f"{name}: {'' if sound else 'FOUND '}{told}", flush=True)
    took = time.monotonic() - began
    print(json.dumps({"found": found, "minutes": round(took / 60, 1)}))
    return found


if __name__ == "__main__":
    sys.exit(main() > 0)
