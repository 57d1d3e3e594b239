"""Runs a build in a process of its own, with a time limit for each step."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from policy_server.build.child import Job
from policy_server.build.limits import BuildLimits
from policy_server.build.report import BuildReport, Part
from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected

ROOT = Path(__file__).resolve().parents[2]
LOG = "build.log"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Of the environment; what else is there may be secret, and the child runs uploaded code."""
START_SECONDS = 60.0
CHUNK_BYTES = 65_536

Progress = Callable[[str], None]


def build(
    folder: Path,
    contract: Contract,
    uploaded: Sequence[Part],
    limits: BuildLimits,
    progress: Progress,
) -> BuildReport:
    """Build a candidate and prove it.

    Args:
        folder: The candidate's folder, with a folder for each part; the build writes into it.
        contract: What it must keep.
        uploaded: The parts that are new.
        limits: How much it may take.
        progress: Told what is being done, a few words at a time.

    Raises:
        UploadRejected: The build process died or was too slow; a report says everything else.
    """
    job = Job(
        str(folder),
        contract.schema.text,
        contract.discrete,
        contract.tuple,
        [str(part) for part in uploaded],
        limits,
    )
    with _child(job, folder / LOG) as (process, messages):
        for message in messages:
            if "report" in message:
                return BuildReport.from_dict(message["report"])
            progress(message["step"])
            messages.allow(message["step"], message["seconds"])
        code = process.wait()
    cause = f"signal {-code}" if code < 0 else f"exit code {code}"
    raise UploadRejected(f"The build process ended early ({cause}) while {messages.step}.")


class _Messages:
    """What the child says, until the deadline of the step that it is in.

    Raises:
        UploadRejected: A step did not end in time.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.allow("starting the build", START_SECONDS)

    def allow(self, step: str, seconds: float) -> None:
        """Wait for the end of a step that may take `seconds` from now."""
        self.step = step
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def __iter__(self) -> Iterator[dict[str, Any]]:
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            while True:
                if not selector.select(max(self._deadline - time.monotonic(), 0.0)):
                    raise UploadRejected(
                        f"The build was stopped: {self.step} did not end within "
                        f"{self._seconds:g} seconds."
                    )
                chunk = os.read(self._descriptor, CHUNK_BYTES)
                if not chunk:
                    return
                *lines, buffer = (buffer + chunk).split(b"\n")
                yield from map(json.loads, lines)


@contextlib.contextmanager
def _child(job: Job, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], _Messages]]:
    receiver, sender = os.pipe()
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment |= {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "policy_server.build.child", str(sender)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=(sender,),
            env=environment,
            start_new_session=True,
        )
    os.close(sender)
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a child that died at once is told apart below
            process.stdin.write(job.as_json().encode())
            process.stdin.close()
        yield process, _Messages(receiver)
    finally:
        # The whole session: uploaded code may have started processes of its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(receiver)
