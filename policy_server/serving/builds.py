"""Builds that go on behind an answer: each in a thread, with a record for all workers."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from policy_server.errors import BuildLost, BuildNotFound, Overloaded, PolicyServerError
from policy_server.proving.build import Progress
from policy_server.serving.shutdown import Shutdown
from policy_server.store.builds import BuildRecords, Record

MOST_RUNNING = 4
"""In one worker; as many uploads as may be under way there."""
END_SECONDS = 5.0
"""Within which builds end once the process is about to stop."""
MOST_STEPS, MOST_TEXT = 200, 200
LOST = (
    "The process that built ended before this build did: it was killed, or its machine was. GET "
    "/versions shows whether the version is there all the same; if not, send it again."
)
State = Literal["running", "succeeded", "failed"]
Result = Literal["report", "verification"]
Document = dict[str, Any]
Explain = Callable[[PolicyServerError, str], tuple[int, Document]]
"""Makes status and problem document of an error, and of the id of a request."""

logger = logging.getLogger(__name__)


class Step(msgspec.Struct, frozen=True):
    """Something that a build did, or does.

    Attributes:
        name: A few words.
        began: RFC 3339.
    """

    name: str
    began: str


class Build(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of a build.

    Attributes:
        build: Its id.
        operation: What was asked for.
        state: Whether it goes on, and how it ended.
        created: RFC 3339.
        created_by: Who asked for it.
        steps: In the order in which they began; the last one may go on.
        ended: RFC 3339; empty while it goes on.
        status: Of the answer, once it is there.
        report: Of the version that was made or activated.
        verification: What a replay of golden cases found.
        problem: Why it failed; in a record missing where the process ended that built.
    """

    build: str
    operation: str
    state: State
    created: str
    created_by: str
    steps: list[Step]
    ended: str = ""
    status: int | None = None
    report: Document | None = None
    verification: Document | None = None
    problem: Document | None = None


class Job(msgspec.Struct, frozen=True):
    """What is to be done behind an answer.

    Attributes:
        operation: What was asked for.
        user: Who asked.
        request: Id of the request.
        work: Does it, is told whom to tell of its steps, and returns what is to be answered.
        result: What that is.
        ended: Called with the status of the answer, and with why it failed.
    """

    operation: str
    user: str
    request: str
    work: Callable[[Progress], object]
    result: Result
    ended: Callable[[int, str], None]


class Builds:
    """Runs what takes long, and knows what all workers run.

    Args:
        records: Of all workers.
        shutdown: Of this process, which ends builds.
        explain: Words the errors of builds.
    """

    def __init__(self, records: BuildRecords, shutdown: Shutdown, explain: Explain) -> None:
        self._records = records
        self._shutdown = shutdown
        self._explain = explain
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def begin(self, job: Job) -> Build:
        """Begin a build.

        Raises:
            Stopping, Overloaded: Another worker or another time may do.
            StoreFailed: It cannot be recorded.
        """
        self._shutdown.check()
        with self._lock:
            self._threads = {each for each in self._threads if each.is_alive()}
            if len(self._threads) >= MOST_RUNNING:
                raise Overloaded(f"{MOST_RUNNING} builds are under way already: try again later.")
            running = _Running(self._records.begin(), job)
            begun = running.build()
            work = threading.Thread(target=self._run, args=(running, job), daemon=True)
            self._threads.add(work)
            work.start()
        return begun

    def get(self, name: str) -> Build:
        """What is known of a build.

        Raises:
            BuildNotFound: Nothing.
        """
        build = self._read(name)
        if build is None:
            raise BuildNotFound(
                f"There is no build {name[:60]!r}: GET /builds lists those that are remembered."
            )
        return build

    def list(self) -> list[Build]:
        """All builds, the latest first."""
        found = [self._read(name) for name in self._records.names()]
        return sorted((each for each in found if each), key=lambda each: each.created, reverse=True)

    def wait(self) -> None:
        """Wait until the builds of this process have ended; it is about to stop."""
        deadline = time.monotonic() + END_SECONDS
        for thread in list(self._threads):
            thread.join(max(deadline - time.monotonic(), 0.0))

    def _read(self, name: str) -> Build | None:
        read = self._records.read(name)
        if read is None:
            return None
        content, goes_on = read
        try:
            build = msgspec.json.decode(content, type=Build)
        except msgspec.MsgspecError:
            return None  # it has only just begun
        if build.state == "running" and not goes_on:
            build.state = "failed"
            build.status, build.problem = self._explain(BuildLost(LOST), build.build)
        return build

    def _run(self, running: "_Running", job: Job) -> None:
        detail = ""
        try:
            answer = msgspec.to_builtins(job.work(running.step))
        except Exception as error:
            if not isinstance(error, PolicyServerError):
                logger.exception("%s: unforeseen", job.request)
                error = PolicyServerError()
            status, problem = self._explain(error, job.request)
            detail = problem["detail"]
            running.end("failed", status, problem=problem)
        else:
            status = 200
            running.end("succeeded", status, **{job.result: answer})
        job.ended(status, detail)


class _Running:
    """A build of this process, and its record."""

    def __init__(self, record: Record, job: Job) -> None:
        now = _now()
        self._record = record
        self._steps = [Step("waiting for its turn", now)]
        self._build = Build(
            build=record.name,
            operation=job.operation,
            state="running",
            created=now,
            created_by=job.user,
            steps=[],
        )
        self._write()

    def build(self) -> Build:
        """As it is now."""
        return msgspec.structs.replace(self._build, steps=[*self._steps])

    def step(self, name: str) -> None:
        """Note what is being done now."""
        if len(self._steps) < MOST_STEPS:
            self._steps.append(Step(name[:MOST_TEXT], _now()))
            self._write()

    def end(self, state: State, status: int, **outcome: Document) -> None:
        """Note what came of it."""
        changes = {"state": state, "status": status, "ended": _now(), **outcome}
        self._build = msgspec.structs.replace(self._build, **changes)
        self._write()
        self._record.close()

    def _write(self) -> None:
        self._record.write(msgspec.json.encode(self.build()))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
