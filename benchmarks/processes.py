"""Starts servers on free ports of 127.0.0.1, weighs their processes, and ends all of them."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.subjects import Subject

HOST = "127.0.0.1"
START_SECONDS = 120.0
END_SECONDS = 20.0
LOOK_SECONDS = 0.01
SHOWN_CHARACTERS = 300
PROC = Path("/proc")


class NotServing(Exception):
    """A server did not come up, or answered what is not right."""


@dataclass(frozen=True)
class Running:
    """A server that has made its first decision.

    Attributes:
        pid: Its first process, which leads a session of its own.
        url: Where it takes observations.
        cold_start_seconds: From the start of the process to the first right answer.
    """

    pid: int
    url: str
    cold_start_seconds: float

    def memory_bytes(self) -> int:
        """Memory of all its processes; what they share is counted once."""
        return sum(map(_proportional_bytes, family(self.pid)))


@contextlib.contextmanager
def running(subject: Subject, log: Path) -> Iterator[Running]:
    """Run a server until the block ends.

    Args:
        subject: Which.
        log: Where its output goes.

    Raises:
        NotServing: It does not come up, or its first answer is wrong.
    """
    ports = dict(zip(("port", "second", "third"), map(str, free_ports(3)), strict=True))
    begin = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_filled(part, ports) for part in subject.command],
            cwd=subject.folder,
            env={name: _filled(value, ports) for name, value in subject.environment.items()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        await_answer(process, int(ports["port"]), subject, log)
        cold = time.perf_counter() - begin
        yield Running(process.pid, f"http://{HOST}:{ports['port']}{subject.path}", cold)
    finally:
        end(process)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def await_answer(process: subprocess.Popen[bytes], port: int, subject: Subject, log: Path) -> None:
    """Ask until there is an answer with status 200, and check it."""
    deadline = time.monotonic() + START_SECONDS
    last = "nothing listened"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotServing(f"it ended with {process.returncode}: {_end_of(log)}")
        try:
            status, answer = ask(port, subject)
        except (OSError, http.client.HTTPException) as error:
            last = repr(error)
        else:
            if status == http.HTTPStatus.OK:
                _check(subject, answer)
                return
            last = f"{status}: {answer[:SHOWN_CHARACTERS]!r}"
        time.sleep(LOOK_SECONDS)
    raise NotServing(f"no good answer in {START_SECONDS:.0f} s; at last {last}")


def ask(port: int, subject: Subject, path: str | None = None) -> tuple[int, bytes]:
    """Post the subject's body once; status and body of the answer."""
    headers = {"Content-Type": "application/json"}
    if subject.authorization:
        headers["Authorization"] = subject.authorization
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", path or subject.path, subject.body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def family(pid: int) -> list[int]:
    """A process, its descendants and all that share its session."""
    parents, sessions = {}, {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (found := _stat(int(entry.name))):
            parents[int(entry.name)], sessions[int(entry.name)] = int(found[1]), int(found[3])
    members = {pid} & parents.keys() | {one for one, other in sessions.items() if other == pid}
    before = 0
    while len(members) > before:
        before = len(members)
        members |= {child for child, parent in parents.items() if parent in members}
    return sorted(members)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server: it is asked to, then whatever is left of its family is killed."""
    births = {pid: _birth(pid) for pid in family(process.pid)}
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)
    births |= {pid: _birth(pid) for pid in family(process.pid)}
    for pid, birth in births.items():
        if birth and _birth(pid) == birth:  # not another process with a number used again
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + END_SECONDS
    while any(birth and _birth(pid) == birth for pid, birth in births.items()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"processes of {process.pid} cannot be ended")
        time.sleep(LOOK_SECONDS)


def _check(subject: Subject, answer: bytes) -> None:
    try:
        subject.check(answer)
    except (ValueError, KeyError) as error:
        raise NotServing(f"a wrong answer: {error}") from error


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None where the process is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()


def _birth(pid: int) -> str | None:
    """When a process started, in ticks since boot."""
    found = _stat(pid)
    return found[19] if found else None


def _proportional_bytes(pid: int) -> int:
    """What a process holds; memory that n processes share counts as an nth."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    sizes = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return 1024 * sum(map(int, sizes))


def _end_of(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[-SHOWN_CHARACTERS:]


def _filled(text: str, ports: dict[str, str]) -> str:
    """A text with its ports; other braces are left alone: make passes some in the environment."""
    for name, port in ports.items():
        text = text.replace(f"{{{name}}}", port)
    return text
