"""Runs a build in a process of its own, with limits of memory, disk, and time for each step."""

import contextlib
import json
import logging
import os
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from policy_server.contract.actions import ActionSettings
from policy_server.contract.contract import Contract
from policy_server.errors import StoreFailed, UploadRejected
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.proving.job import UNDESCRIBED, Job
from policy_server.proving.limits import BuildLimits
from policy_server.proving.remote_engines import ReachedEngines
from policy_server.proving.report import BuildReport
from policy_server.sandbox.framing import Messages, framed
from policy_server.sandbox.identity import take_back
from policy_server.sandbox.printed import log_printed
from policy_server.sandbox.process import ChildProcess
from policy_server.sandbox.profile import build_profile
from policy_server.version.parts import TIMING_FILE, Part

MODULE = "policy_server.proving.child"
QUIET_TENSORFLOW = {"TF_CPP_MIN_LOG_LEVEL": "3"}
MESSAGE_BYTES = 16_000_000
"""Of a report at most; uploaded code may find the connection, and say anything."""
PRINTED_BYTES = 4_000
"""What is kept of all that a build prints, its end; uploaded code may print anything."""
START_SECONDS = 60.0
WATCH_SECONDS = 0.2
"""How often is looked at what a build has taken of memory and disk."""
CHUNK_BYTES = 65_536

Progress = Callable[[str], None]
Check = Callable[[], None]
"""Raises what is to stop a build."""

logger = logging.getLogger(__name__)


def build(
    folder: Path,
    contract: Contract,
    uploaded: Sequence[Part],
    limits: BuildLimits,
    progress: Progress,
    check: Check = lambda: None,
    servers: EngineServers = NO_SERVERS,
) -> BuildReport:
    """Build a candidate and prove it.

    Args:
        folder: The candidate's folder, with a folder for each part; the build writes into it.
        contract: What it must keep.
        uploaded: The parts that are new.
        limits: How much it may take.
        progress: Told what is being done, a few words at a time.
        check: Called all the while; what it raises stops the build.
        servers: That may run its network.

    Raises:
        UploadRejected: The build process died, was too slow, or took too much memory or disk; a
            report says everything else.
        StoreFailed: It could not write what it builds.
    """
    job = Job(
        str(folder.absolute()),
        contract.schema.text,
        contract.actions.settings,
        [str(part) for part in uploaded],
        limits,
    )
    return _run(job, progress, check, servers)


def verify(
    folder: Path,
    contract: Contract,
    limits: BuildLimits,
    progress: Progress,
    servers: EngineServers = NO_SERVERS,
) -> BuildReport:
    """Replay the golden cases of a version that is there.

    Args:
        folder: The version's; nothing is written into it.
        contract: What it was proven against.
        limits: How much it may take.
        progress: Told what is being done, a few words at a time.
        servers: That may run its network.

    Raises:
        UploadRejected: The process died or was too slow; a report says everything else.
    """
    schema = contract.schema.text
    job = Job(str(folder.absolute()), schema, contract.actions.settings, [], limits, verify=True)
    return _run(job, progress, lambda: None, servers)


def describe(
    folder: Path,
    limits: BuildLimits,
    progress: Progress,
    servers: EngineServers = NO_SERVERS,
) -> BuildReport:
    """Say what a model is, whatever contract there is.

    Args:
        folder: Has a folder for the model, and for its description where one is given.
        limits: How much it may take.
        progress: Told what is being done, a few words at a time.
        servers: That may run its network.

    Raises:
        UploadRejected: The process died or was too slow; a report says everything else.
    """
    job = Job(str(folder.absolute()), UNDESCRIBED, ActionSettings(), [], limits, describe=True)
    return _run(job, progress, lambda: None, servers)


def _run(job: Job, progress: Progress, check: Check, servers: EngineServers) -> BuildReport:
    engines = ReachedEngines(Path(job.folder) / Part.MODEL, servers)
    with contextlib.closing(engines), _child(job) as child:
        try:
            report = _report_of(child, progress, check, engines)
        except UploadRejected:
            child.log(logging.WARNING)
            raise
        quiet = job.describe or report.rejected is None
        child.log(logging.DEBUG if quiet else logging.WARNING)
        return report


class _Child:
    """The build process, until the deadline of the step that it is in.

    Raises:
        UploadRejected: A step did not end in time, took too much memory or disk, or what the
            process says is no message.
    """

    def __init__(self, process: ChildProcess, limits: BuildLimits) -> None:
        self._process = process
        self._limits = limits
        self._watched = 0.0
        self._printed = b""
        self.allow("starting the build", START_SECONDS)

    def allow(self, step: str, seconds: float) -> None:
        """Wait for the end of a step that may take `seconds` from now."""
        self.step = step
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    def messages(self, check: Check) -> Iterator[dict[str, Any]]:
        """What the process says, until it says no more; what it prints is read beside."""
        connection, printed = self._process.connection, self._process.printed
        assert printed is not None
        messages = Messages(MESSAGE_BYTES)
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(printed, selectors.EVENT_READ)
            while left := self._left():
                ready = selector.select(min(left, WATCH_SECONDS))
                check()
                if time.monotonic() >= self._watched + WATCH_SECONDS:
                    self._watched = time.monotonic()
                    self.check_taken()
                for key, _ in ready:
                    chunk = _read(key.fd)
                    if key.fileobj is printed:
                        self._printed = (self._printed + chunk)[-PRINTED_BYTES:]
                        if not chunk:
                            selector.unregister(printed)
                    elif chunk:
                        messages.add(chunk)
                        while (message := messages.take()) is not None:
                            yield json.loads(message)
                    else:
                        return
        raise self._too_slow()

    def reply(self, body: bytes) -> None:
        """Answer what the process has asked."""
        with contextlib.suppress(ConnectionError):  # that it is gone is found where it is read
            self._process.connection.sendall(framed(body))

    def end(self) -> str:
        """How the process ended, which it must before the deadline."""
        ended = self._process.how_it_ended(self._left())
        if ended is None:
            raise self._too_slow()
        return ended

    def log(self, level: int) -> None:
        """Write the end of what the process printed to the log."""
        log_printed(level, "the build", self._printed)

    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def check_taken(self) -> None:
        """Look at what it has taken of memory and disk."""
        limits = self._limits
        for what, taken, most in (
            ("memory", self._process.memory_bytes, limits.memory_bytes),
            ("disk", self._process.disk_bytes, limits.disk_bytes),
        ):
            if taken > most:
                raise self._too_much(what, f"{taken // 1_000_000} MB", most)

    def too_large(self) -> UploadRejected:
        """The kernel has refused it a file that is larger than all files may be."""
        return self._too_much("disk", "more", self._limits.disk_bytes)

    def _too_much(self, what: str, taken: str, most: int) -> UploadRejected:
        return UploadRejected(
            f"The build was stopped: {self.step} took {taken} of {what}, and "
            f"{most // 1_000_000} MB are allowed."
        )

    def _too_slow(self) -> UploadRejected:
        return UploadRejected(
            f"The build was stopped: {self.step} did not end within {self._seconds:g} seconds."
        )


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except ConnectionError:  # it ended before it had read its job
        return b""


def _report_of(
    child: _Child, progress: Progress, check: Check, engines: ReachedEngines
) -> BuildReport:
    try:
        for message in child.messages(check):
            if "too_large" in message:
                raise child.too_large()
            if "unstored" in message:
                raise StoreFailed(
                    f"What was built cannot be kept: {message['unstored']}. Nothing was changed."
                )
            if "report" in message:
                child.check_taken()  # of what it wrote since the last look, too
                return BuildReport.from_dict(message["report"])
            if "ask" in message:
                child.reply(engines.answer(message["ask"]))
                continue
            child.allow(str(message["step"]), float(message["seconds"]))
            progress(child.step)
    except (ValueError, TypeError, LookupError) as error:
        # Uploaded code can find the descriptor, if only by closing or writing to all it has.
        raise UploadRejected(f"The build was disturbed while {child.step}: {error!r}.") from error
    raise UploadRejected(f"The build process ended early ({child.end()}) while {child.step}.")


@contextlib.contextmanager
def _child(job: Job) -> Iterator[_Child]:
    folder = Path(job.folder)
    with _writable(job, folder) as writable:
        limits = job.limits
        confined = limits.isolation.confined
        profile = build_profile(folder, writable, limits.disk_bytes, confined=confined)
        process = ChildProcess(MODULE, QUIET_TENSORFLOW, profile, pipes_output=True)
        with process.connection as connection:
            try:
                with contextlib.suppress(ConnectionError):  # a child that died is told apart later
                    connection.sendall(framed(job.as_json()))
                yield _Child(process, limits)
            finally:
                process.end(whole_family=True)
                take_back(folder)


@contextlib.contextmanager
def _writable(job: Job, folder: Path) -> Iterator[tuple[Path, ...]]:
    """What a job may write to: all else is of a version that is there already, or was uploaded."""
    if job.verify:
        yield ()
    elif job.describe:
        yield (folder,)
    else:
        timing = folder / TIMING_FILE
        timing.unlink(missing_ok=True)
        timing.touch()
        yield (timing, *([folder / Part.MODEL] if Part.MODEL in job.uploaded else []))
        if not timing.stat().st_size:  # not all parts are there yet
            timing.unlink()
