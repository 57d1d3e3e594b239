"""The gunicorn worker: uvicorn on uvloop and httptools, which leaves in good order."""

import contextlib
import logging
import mmap
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from ssl import SSLContext
from typing import Any, NoReturn

from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from policy_server.errors import PolicyServerError
from policy_server.serving.shutdown import Shutdown
from policy_server.web.adapters.fallbacks import SERVER_OPTIONS, http_protocol
from policy_server.web.adapters.listeners import Listeners
from policy_server.web.descriptors import affordable
from policy_server.web.tls import HSTS, server_context
from policy_server.web.worker import WorkerApplication

CANNOT_START = 1
"""Exit code of a worker that cannot serve yet."""
READY, UNABLE = 1, 2
PAUSE_SECONDS = 2.0
"""Between two tries to start a worker."""
SPARE_SECONDS = 3.0
NOTIFY_SECONDS = 1.0
ACCESS_ARGUMENTS = 5
"""Of a line of uvicorn's access log: client, method, target, version of HTTP, status."""
SECOND_TICKS = 10
"""How often uvicorn looks around in a second."""


@contextlib.contextmanager
def _watched(worker: "Worker") -> Iterator[None]:
    """Tell the master in this block that the worker goes on, from a thread.

    Starting may take its time, as of a large version; a process that stands still is replaced.
    """
    is_over = threading.Event()

    def tell() -> None:
        worker.notify()
        while not is_over.wait(NOTIFY_SECONDS):
            worker.notify()

    thread = threading.Thread(target=tell, name="starting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped
    """A worker that refuses to start if its application cannot.

    With `lifespan: auto` a worker whose application fails to start would answer 500 to everything.
    """

    CONFIG_KWARGS = {  # noqa: RUF012  # the base class declares it so
        **SERVER_OPTIONS,
        # uvicorn would go by the wall clock, and gunicorn kills who is silent; and would let all
        # workers leave at once that have answered enough: see LeavingServer.
        "callback_notify": None,
        "limit_max_requests": None,
    }

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._ready = mmap.mmap(-1, 1)  # of the master and of the worker alike
        self.notify()  # gunicorn watches no worker that has never told that it goes on

    @property
    def is_ready(self) -> bool:
        """It accepts connections; known to the master, too."""
        return self._ready[0] == READY

    @property
    def is_unable(self) -> bool:
        """It cannot take the version with which others decide; known to the master, too."""
        return self._ready[0] == UNABLE

    def show(self, state: int) -> None:
        """Let the master know how it stands with this worker."""
        self._ready[0] = state

    def load_wsgi(self) -> None:
        """Load the application; leave if it cannot be loaded now."""
        try:
            super().load_wsgi()
        except (Exception, SystemExit) as error:
            self._give_up(error)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self.config.http = http_protocol(affordable(self.wsgi.connection_limits))
        if self.config.is_ssl:
            self.config.ssl_context_factory = _context
            self.config.headers.append(HSTS)
        logging.getLogger("uvicorn.access").addFilter(_without_query)
        self._install_sigquit_handler()
        self.wsgi.siblings.belong_to(_name_of(self.sockets))
        server = LeavingServer(self)
        try:
            await server.serve(sockets=self.sockets)
        except SystemExit:  # with a code that would end the master, too
            if server.started:
                raise
        if not server.started:
            self._give_up(None)

    def _give_up(self, error: BaseException | None) -> NoReturn:
        """End the process, which cannot serve yet, so that the master starts another.

        With gunicorn's own exit codes for this the master would end too, and what is in the way,
        such as a disk that is not mounted yet, may pass. A thread that something has left behind
        must not keep the process.
        """
        if error is not None and not isinstance(error, SystemExit):  # that one has said why
            known = isinstance(error, OSError | PolicyServerError)
            self.log.error("cannot start: %s", error, exc_info=None if known else error)
        self.log.error("a worker cannot start: another tries in %g seconds", PAUSE_SECONDS)
        sys.stdout.flush()
        sys.stderr.flush()
        time.sleep(PAUSE_SECONDS)
        os._exit(CANNOT_START)


def _name_of(sockets: Sequence[socket.socket]) -> str:
    """What the workers of one server have in common; machines may share a store, not a listener."""
    listeners = [str(os.fstat(each.fileno()).st_ino) for each in sockets]
    return " ".join([socket.gethostname(), "listeners", *listeners])


def _without_query(record: logging.LogRecord) -> bool:
    """Cut the query of a path in the access log: clients put what they like there, secrets too."""
    if isinstance(record.args, tuple) and len(record.args) == ACCESS_ARGUMENTS:
        client, method, target, *rest = record.args
        record.args = (client, method, str(target).partition("?")[0], *rest)
    return True


def _context(config: Config, _default: object) -> SSLContext:
    """TLS with the certificate as it is now: a worker that starts after SIGHUP takes a new one."""
    return server_context(Path(config.ssl_certfile or ""), Path(config.ssl_keyfile or ""))


class LeavingServer(Server):
    """A server that accepts while clients need it, and tells that it will stop before it does.

    From SIGTERM on, and after as many requests as a worker may answer, readiness fails where there
    is no other worker, and every answer asks its client to connect anew, which a load balancer will
    do elsewhere. After the shutdown's seconds the listener is closed, requests that are being
    answered end, and the process with them.

    Args:
        worker: Of gunicorn; its application is an WorkerApplication.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker.config)
        self._worker = worker
        self._application: WorkerApplication = worker.wsgi
        self._listeners = Listeners(self, worker.sockets)
        self._shutdown: Shutdown = self._application.shutdown
        self._close_at: float | None = None
        worker.wsgi.open_connections = lambda: len(self.server_state.connections)
        # A request that hangs is dropped before gunicorn would kill the process with all others.
        rest = worker.cfg.graceful_timeout - self._shutdown.seconds - SPARE_SECONDS
        self.config.timeout_graceful_shutdown = max(int(rest), 1)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application; connections are accepted from the first tick on."""
        with _watched(self._worker):
            await super().startup(sockets=[])

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop now."""
        if counter % SECOND_TICKS == 0:
            self._worker.notify()
            # Without a master nobody would ever stop it, and it keeps others from the port.
            self.should_exit |= os.getppid() != self._worker.ppid
        if not await super().on_tick(counter) and not await self._has_answered_enough():
            await self._take_part()
            return False
        if self._close_at is None:
            self._application.leave()
            self._close_at = time.monotonic() + self._shutdown.seconds
            self._listeners.end_connections()
        return self.force_exit or time.monotonic() >= self._close_at

    async def _has_answered_enough(self) -> bool:
        """Whether to leave after so many requests (`--max-requests`); others decide meanwhile."""
        if self._close_at is None and self.server_state.total_requests < self._worker.max_requests:
            return False
        return self._close_at is not None or await self._application.can_be_missed()

    async def _take_part(self) -> None:
        """Accept connections while clients need this worker."""
        if self._application.is_needed and not self._listeners.are_open:
            await self._listeners.open()
            self._application.publish()
        elif not self._application.is_needed and self._listeners.are_open:
            self._worker.log.warning(
                "this worker cannot decide, and others can: it leaves clients to them"
            )
            self._listeners.close()
        if self._application.is_worse:
            self._worker.show(UNABLE)
        elif self._listeners.are_open:
            self._worker.show(READY)
