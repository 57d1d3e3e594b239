"""Where the log goes: a descriptor that nobody waits for.

Standard error may be a file on a full disk, a pipe that nobody reads any more or whose reader
sleeps, a socket of journald's. None of these may hold up a decision. So each line is written at
once if there is room for it; else it waits in memory, and a thread writes it as soon as there is.
What finds no room there either is counted, and the log says so once it can be written again.
"""

import contextlib
import os
import select
import socket
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

STANDARD_ERROR = 2
MOST_WAITING_BYTES = 1_000_000
LOOK_MILLISECONDS = 500
PAUSE_SECONDS = 0.005
FLUSH_SECONDS = 1.0

Write = Callable[[bytes], int]


class Output:
    """Writes whole lines to standard error, from any thread and after any fork.

    Args:
        lost: Makes the line that tells how many lines were lost.
        descriptor: Where they go.
    """

    def __init__(self, lost: Callable[[int], bytes], descriptor: int = STANDARD_ERROR) -> None:
        self._lost_line = lost
        self._descriptor = descriptor
        self._opened: int | socket.socket | None = None
        self._write: Write = _nowhere
        self._begin_anew()
        self.open()
        os.register_at_fork(after_in_child=self._begin_anew)

    def open(self) -> None:
        """Write to what the descriptor is now."""
        with self._lock:
            if isinstance(self._opened, socket.socket):
                self._opened.close()
            elif self._opened is not None:
                os.close(self._opened)
            self._opened, self._write = _opened(self._descriptor)

    def write(self, line: bytes) -> None:
        """Write a line, or have it written; never waits and never fails."""
        with self._lock:
            if self._waiting:
                self._keep(line)
                return
            rest = self._attempt(line)
            if rest:
                self._begun = len(rest) < len(line)
                self._keep(rest)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all is written, but no longer than this."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            time.sleep(PAUSE_SECONDS)

    def _begin_anew(self) -> None:
        """In the child of a fork: what waits, its parent writes."""
        self._lock = threading.Lock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._begun = False  # what waits first is the rest of a line
        self._is_cut = False  # the rest of the last line was lost
        self._lost = 0
        self._thread: threading.Thread | None = None

    def _attempt(self, line: bytes, begun: bool = False) -> bytes:
        """Write a line, or the rest of one that was begun, as far as it goes; returns its rest."""
        whole = b"\n" + line if self._is_cut and not begun else line
        try:
            written = self._write(whole)
        except BlockingIOError:
            return line
        except OSError:  # the disk is full, the reader has gone
            self._lost += 1
            self._is_cut |= begun
            return b""
        self._is_cut = False
        if written == len(whole) and self._lost:
            lost, self._lost = self._lost, 0
            self._keep(self._lost_line(lost))
        return whole[written:]

    def _keep(self, line: bytes) -> None:
        if self._waiting_bytes + len(line) > MOST_WAITING_BYTES:
            self._lost += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_waiting, name="log", daemon=True)
            with contextlib.suppress(RuntimeError):  # the process ends
                self._thread.start()

    def _write_waiting(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        while True:
            poll.poll(LOOK_MILLISECONDS)
            with self._lock:
                if self._write_some():
                    self._thread = None
                    return
            time.sleep(PAUSE_SECONDS)

    def _write_some(self) -> bool:
        """Write what waits as far as it goes; returns whether that was all."""
        while self._waiting:
            line = self._waiting[0]
            rest = self._attempt(line, self._begun)
            self._waiting_bytes -= len(line) - len(rest)
            self._begun = bool(rest) and (self._begun or len(rest) < len(line))
            if rest:
                self._waiting[0] = rest
                return False
            self._waiting.popleft()
        return True


def _opened(descriptor: int) -> tuple[int | socket.socket | None, Write]:
    """What is written to, and how that is done without waiting."""
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return None, _nowhere
    if descriptor == STANDARD_ERROR and sys.__stderr__ is None:
        return None, _nowhere  # it was closed at start, and something else has its number now
    if stat.S_ISSOCK(mode):
        end = socket.socket(fileno=os.dup(descriptor))
        return end, lambda data: end.send(data, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # Others write to the same pipe, and may wait: only what is opened anew is ours to change.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            own = os.open(f"/proc/self/fd/{descriptor}", flags)
            return own, lambda data: os.write(own, data)
    return None, lambda data: os.write(descriptor, data)


def _nowhere(data: bytes) -> int:
    return len(data)
