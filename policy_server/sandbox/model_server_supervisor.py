"""The supervisor of a program that runs networks: a process, one for a host and a BASE_PATH.

It writes what is wanted for the program to poll, starts the program again when it ends, and ends
with it when nothing is wanted any more. It belongs to no worker: workers come and go.
"""

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from policy_server.files import OWNERS, write_atomically
from policy_server.policy.engines.address import Address
from policy_server.sandbox.confinement import end_with
from policy_server.sandbox.model_server import PATH_VARIABLE, State, Task, wanted_folders

LOOK_SECONDS = 0.1
IDLE_SECONDS = 5.0
"""Without anything that is wanted: a server that is started again wants the same in a moment."""
LINGER_SECONDS = 10.0
"""A folder that is wanted no longer stays so long: who gave up waiting for it tries again."""
START_SECONDS = 60.0
"""Until the program listens; then it is started again, on another port."""
SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 10.0
"""Before the program is started again; the pause grows while it does not last."""
LASTING_SECONDS = 30.0
END_SECONDS = 5.0
LOG_BYTES = 10_000_000


class Supervisor:
    """Keeps a program running, and tells it what is wanted."""

    def __init__(self, task: Task) -> None:
        self._task, self._kind = task, task.kind
        self._folder = Path(task.folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._state: State | None = None
        self._served: dict[str, tuple[str, float]] = {}
        self._written: bytes | None = None
        self._url = ""
        self._started = self._pause_until = 0.0
        self._pause = SHORTEST_PAUSE_SECONDS

    def run(self) -> None:
        """Do so until nothing is wanted."""
        self._tell(State())
        wanted_at = time.monotonic()
        try:
            while time.monotonic() < wanted_at + IDLE_SECONDS:
                wanted = wanted_folders(self._folder / "wanted")
                if wanted:
                    wanted_at = time.monotonic()
                self._remember(wanted)
                self._look_after_program()
                time.sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(OSError):  # first: who finds it reaches the program
                (self._folder / "state.json").unlink()
            self._end_program()
            with contextlib.suppress(OSError):
                self._write({})  # for one that goes on without this

    def _remember(self, wanted: dict[str, str]) -> None:
        now = time.monotonic()
        self._served |= {name: (folder, now) for name, folder in wanted.items()}
        self._served = {
            name: (folder, at)
            for name, (folder, at) in self._served.items()
            if at + LINGER_SECONDS > now and Path(folder).is_dir()
        }
        # The program does not start with a folder that cannot be loaded: it begins with none.
        listens = bool(self._state and self._state.url)
        self._write({name: folder for name, (folder, _) in self._served.items() if listens})

    def _write(self, folders: dict[str, str]) -> None:
        is_json = self._kind.file.endswith(".json")
        text = msgspec.json.encode(folders) if is_json else _in_protobuf(folders)
        if text != self._written:
            write_atomically(self._folder / self._kind.file, text)
            self._written = text

    def _look_after_program(self) -> None:
        if not self._task.program:
            self._tell(State(self._task.url))
            return
        now = time.monotonic()
        if self._process is None:
            if now >= self._pause_until:
                self._start_program()
            return
        code = self._process.poll()
        listens = bool(self._state and self._state.url)
        if code is None and not listens and _listens(self._url):
            self._tell(State(self._url))
        elif code is None and not listens and now > self._started + START_SECONDS:
            self._end_program()
            self._pause_and_tell(f"it did not listen within {START_SECONDS:g} seconds")
        elif code is not None:
            self._process = None
            ended = f"signal {-code}" if code < 0 else f"exit code {code}"
            self._pause_and_tell(f"it ended ({ended}), and is started again")

    def _start_program(self) -> None:
        program = shutil.which(self._task.program)
        if program is None:
            self._pause_and_tell(f"there is no program `{self._task.program}` here")
            return
        port = self._task.port or _free_port()
        self._write({})
        log = self._folder / "server.log"
        if log.stat().st_size > LOG_BYTES:
            os.truncate(log, 0)
        parent, file = os.getpid(), self._folder / self._kind.file
        path = f"/{secrets.token_urlsafe()}" if self._kind.secret else ""
        self._process = subprocess.Popen(
            [program, *(each.format(port=port, file=file) for each in self._kind.arguments)],
            stdin=subprocess.DEVNULL,
            env={**os.environ, PATH_VARIABLE: path},
            preexec_fn=lambda: end_with(parent),  # this process has no threads
        )
        self._url, self._started = f"http://127.0.0.1:{port}{path}", time.monotonic()

    def _pause_and_tell(self, fault: str) -> None:
        lasted = self._started and time.monotonic() - self._started > LASTING_SECONDS
        self._pause = SHORTEST_PAUSE_SECONDS if lasted else self._pause
        self._pause_until = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
        sys.stderr.write(f"{self._kind.name}: {fault}\n")
        self._tell(State(fault=fault))

    def _end_program(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _tell(self, state: State) -> None:
        if state != self._state:
            content, mode = msgspec.json.encode(state), OWNERS  # its URL may hold a secret
            write_atomically(self._folder / "state.json", content, mode=mode)
            self._state = state


def main() -> None:
    """Supervise, unless another process does."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    if os.fork():  # it belongs to nobody, so that nobody has to wait for its end
        return
    with (Path(task.folder) / "lock").open("w") as lock:
        if not _lock(lock.fileno()):
            return
        os.set_inheritable(lock.fileno(), False)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        Supervisor(task).run()


def _lock(descriptor: int) -> bool:
    """Take the lock; a process that only looks has it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
        else:
            return True
    return False


def _listens(url: str) -> bool:
    address = Address.of(url)
    with contextlib.suppress(OSError), socket.create_connection(address[:2], timeout=0.5):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _in_protobuf(folders: dict[str, str]) -> bytes:
    """Folders by their names, as `tensorflow_model_server` reads them."""
    lines = [
        f'  config {{ name: "{name}" base_path: "{_escaped(folder)}" '
        'model_platform: "tensorflow" }'
        for name, folder in sorted(folders.items())
    ]
    return "\n".join(["model_config_list {", *lines, "}", ""]).encode()


def _escaped(path: str) -> str:
    """A path as a text of protobuf's text format."""
    return path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


if __name__ == "__main__":
    main()
