"""SIGHUP at gunicorn's master: new workers beside the old ones, which leave when those decide.

gunicorn ends old workers as soon as new ones are begun, seconds before these can answer; reads
settings of which it cannot go on; and lets new workers inherit what its master has imported of a
program that may have been replaced since. Here another process tries program and settings first,
and where new workers do not come to serve, the old ones and their program stay.
"""

import functools
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from types import ModuleType
from typing import Any

READY_SECONDS = 300.0
"""In which new workers must decide; old ones do meanwhile."""
CHECK_SECONDS = 120.0
LOOK_SECONDS = 0.1
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
OURS = ("policy_server", "api", "configuration", "app")
"""Modules of the program, and packages of such."""
INTERPRETED = ("-m", "gunicorn")
"""How gunicorn is started anew; by the file of its package it would hide modules of Python's."""


class ReloadFailed(Exception):
    """Why everything goes on as it was."""


class Reload:
    """What a master does on SIGHUP, in the place of gunicorn's `Arbiter.reload`.

    Args:
        arbiter: The master.
    """

    def __init__(self, arbiter: Any) -> None:
        self._arbiter = arbiter
        self._reload = arbiter.reload
        self._command = [*arbiter.START_CTX["args"], "--check-config"]

    def __call__(self) -> None:
        """Reload, or say why that is not possible and change nothing."""
        try:
            self._check()
            self._replace()
        except ReloadFailed as error:
            self._arbiter.log.error("the reload is refused, and all goes on as it was: %s", error)

    def _check(self) -> None:
        """Let another process load settings and program as they are now."""
        try:
            tried = subprocess.run(
                self._command,
                cwd=self._arbiter.START_CTX["cwd"],
                env=self._arbiter.cfg.env_orig,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                timeout=CHECK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReloadFailed(f"it cannot be tried: {error}") from error
        if tried.returncode:
            raise ReloadFailed(tried.stderr.strip() or f"exit code {tried.returncode}")

    def _replace(self) -> None:
        arbiter = self._arbiter
        configuration, program = arbiter.cfg, _taken_out(sys.modules)
        old = set(arbiter.WORKERS)
        arbiter.manage_workers = functools.partial(self._manage_once_ready, old)
        try:
            self._reload()
        except ReloadFailed:
            _taken_out(sys.modules)
            sys.modules.update(program)
            arbiter.app.cfg = configuration
            arbiter.setup(arbiter.app)
            raise
        finally:
            del arbiter.manage_workers  # that of the class counts again

    def _manage_once_ready(self, old: Iterable[int]) -> None:
        """Called by gunicorn when new workers have begun: let the old ones leave in time."""
        arbiter, deadline = self._arbiter, time.monotonic() + READY_SECONDS
        new = {pid: worker for pid, worker in arbiter.WORKERS.items() if pid not in old}
        while not all(worker.is_ready for worker in new.values()):
            arbiter.reap_workers()
            arbiter.murder_workers()
            dead = new.keys() - arbiter.WORKERS.keys()
            unable = any(worker.is_unable for worker in new.values())
            if dead or unable or time.monotonic() > deadline or self._is_to_end():
                self._end(new)
                why = "ended" if dead else "did not decide in time"
                if unable:
                    why = "cannot take the version with which those of before decide"
                raise ReloadFailed(f"a new worker {why}; what it said stands above")
            time.sleep(LOOK_SECONDS)
        type(arbiter).manage_workers(arbiter)

    def _end(self, workers: Iterable[int]) -> None:
        """End workers and wait for that: with so many, gunicorn would end the oldest ones."""
        arbiter, deadline = self._arbiter, time.monotonic() + self._arbiter.cfg.graceful_timeout
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for pid in set(workers) & arbiter.WORKERS.keys():
                arbiter.kill_worker(pid, sent)
            while set(workers) & arbiter.WORKERS.keys() and time.monotonic() < deadline:
                arbiter.reap_workers()
                time.sleep(LOOK_SECONDS)
            deadline += LOOK_SECONDS

    def _is_to_end(self) -> bool:
        """Whether a signal waits that ends the master; all that wait stay."""
        queue = self._arbiter.SIG_QUEUE
        waiting = [queue.get_nowait() for _ in range(queue.qsize())]
        for each in waiting:
            queue.put_nowait(each)
        return any(each in ENDINGS for each in waiting)


def install(arbiter: Any) -> None:
    """Let a master reload like this, and start anew (SIGUSR2) however it was started."""
    arguments = arbiter.START_CTX["args"]
    arguments[1:2] = INTERPRETED
    arbiter.reload = Reload(arbiter)


def pass_listeners(arbiter: Any) -> None:
    """Let a second master find its listeners, also those that are systemd's.

    gunicorn looks for these where systemd has put them, and has itself moved them.
    """
    arbiter.systemd = False


def _taken_out(modules: dict[str, ModuleType]) -> dict[str, ModuleType]:
    """Take the program's modules out of those that are loaded; returns them."""
    names = [name for name in modules if name.split(".", maxsplit=1)[0] in OURS]
    return {name: modules.pop(name) for name in names}
