"""What an uploaded preprocessor may try: attacks that leave no trace where they succeed.

Each returns where it succeeds, and raises where it is refused. This file is uploaded as a part of
preprocessors, so it imports nothing of the project.
"""

import ctypes
import errno
import fcntl
import importlib
import json
import locale
import mmap
import os
import random
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
"""What an attacker knows: `victim`, a process id; `folder` of secrets; `port`; `socket`; `code`."""

MUCH = 10_000_000_000
"""Bytes, which are asked for and not touched."""
SHARED = 700_000_000
NEWUSER, NEWNET = 0x1000_0000, 0x4000_0000
GROWS_DOWN = 0x0100
WIDE = ("syscall", "mmap")
NUMBERS = {"x86_64": (310, 319, 29, 234), "aarch64": (270, 279, 194, 131)}


def libc(name: str, *arguments: Any) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    getattr(library, name).restype = ctypes.c_long if name in WIDE else ctypes.c_int
    result: int = getattr(library, name)(*arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def number(place: int) -> int:
    return NUMBERS[os.uname().machine][place]


def opened(path: str, flags: int = os.O_RDONLY) -> None:
    os.close(os.open(path, flags))


def made(path: str) -> None:
    opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    Path(path).unlink()


def forked(then: Callable[[], None] = lambda: None) -> None:
    child = os.fork()
    if child == 0:
        then()
        os._exit(0)
    os.waitpid(child, 0)


def executed() -> None:
    if os.posix_spawn("/bin/true", ["true"], {}) > 0:
        os.wait()


def unix(address: Any) -> None:
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(address)


def netlink() -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def joined(victim: int) -> None:
    descriptor = os.open(f"/proc/{victim}/ns/net", os.O_RDONLY)
    libc("setns", descriptor, NEWNET)


def memory_read(victim: int) -> None:
    try:
        libc("syscall", number(0), victim, None, 0, None, 0, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def owned_by(victim: int) -> None:
    reader, writer = os.pipe()
    try:
        fcntl.fcntl(reader, fcntl.F_SETOWN, victim)
    finally:
        os.close(reader)
        os.close(writer)


def grown_down() -> None:
    private_anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    flags = private_anonymous | GROWS_DOWN
    libc("mmap", None, ctypes.c_size_t(SHARED), mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)


def thread_started() -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def attacks(facts: Facts) -> dict[str, Callable[[], object]]:
    victim, folder, code = facts["victim"], facts["folder"], facts["code"]
    return {
        "reads credentials": lambda: opened(f"{folder}/credentials"),
        "lists the store": lambda: list(Path(folder).iterdir()),
        "reads the server's environment": lambda: Path(f"/proc/{victim}/environ").read_bytes(),
        "opens the server's memory": lambda: opened(f"/proc/{victim}/mem", os.O_RDWR),
        "reads the server's memory": lambda: memory_read(victim),
        "lists its descriptors": lambda: list(Path(f"/proc/{victim}/fd").iterdir()),
        "writes into the store": lambda: made(f"{folder}/pwn"),
        "writes the project's code": lambda: made(f"{code}/pwn.tmp"),
        "writes temporary files": lambda: made("/tmp/pwn-of-a-test"),
        "writes shared memory": lambda: made("/dev/shm/pwn-of-a-test"),
        "connects": lambda: socket.create_connection(("127.0.0.1", facts["port"]), 5).close(),
        "connects to a socket of this machine": lambda: unix(facts["socket"]),
        "connects to an abstract socket": lambda: unix(b"\0" + facts["socket"].encode()),
        "asks the kernel of the network": netlink,
        "joins its network": lambda: joined(victim),
        "makes a user namespace": lambda: forked_unshare(),
        "signals the server": lambda: os.kill(victim, 0),
        "signals a thread of it": lambda: libc("syscall", number(3), victim, victim, 0),
        "signals all processes": lambda: os.killpg(os.getpgid(victim), 0),
        "has signals sent": lambda: owned_by(victim),
        "slows the server": lambda: os.sched_setaffinity(victim, os.sched_getaffinity(victim)),
        "limits the server": lambda: resource.prlimit(victim, resource.RLIMIT_CORE, (0, 0)),
        "hastens the server": lambda: os.setpriority(os.PRIO_PROCESS, victim, 0),
        "forks": forked,
        "leaves its session": lambda: forked(os.setsid),
        "starts a program": executed,
        "starts a thread": thread_started,
        "takes 10 GB": lambda: mmap.mmap(-1, MUCH, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close(),
        "takes memory as a stack": grown_down,
        "shares memory": lambda: mmap.mmap(-1, SHARED).close(),
        "makes a file in memory": lambda: os.close(libc("syscall", number(1), b"x", 0)),
        "makes a System V segment": lambda: segment(),
        "outlives its parent": lambda: libc("prctl", 1, 0, 0, 0, 0),
        "has a core written": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    }


def forked_unshare() -> None:
    """In a process of its own: who has done so is another user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"0" if ctypes.CDLL(None).unshare(NEWUSER) else b"1")
        os._exit(0)
    os.waitpid(child, 0)
    if os.read(reader, 1) != b"1":
        raise PermissionError("no namespace")


def segment() -> None:
    remove = 0
    made_segment = libc("syscall", number(2), 0, ctypes.c_size_t(4096), 0o600)
    ctypes.CDLL(None).shmctl(made_segment, remove, None)


def honest_work() -> dict[str, Callable[[], object]]:
    """What honest preprocessors do."""
    return {
        "computes": matrices,
        "imports late": lambda: [
            importlib.import_module(name)
            for name in ("decimal", "sqlite3", "statistics", "fractions", "xml.etree.ElementTree")
        ],
        "knows time zones": lambda: importlib.import_module("zoneinfo").ZoneInfo("Europe/Berlin"),
        "draws": lambda: (random.SystemRandom().random(), os.urandom(8), random.random()),
        "opens the source of chance": lambda: opened("/dev/urandom"),
        "has a language": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
        "reads its own file": lambda: Path(__file__).read_bytes(),
        "writes to nowhere": lambda: opened("/dev/null", os.O_WRONLY),
        "tells the time": lambda: time.localtime(),
        "sleeps": lambda: time.sleep(0.001),
        "signals itself": lambda: os.kill(os.getpid(), 0),
    }


def matrices() -> float:
    import numpy as np

    drawn = np.random.default_rng(0).standard_normal((200, 200))
    return float(np.linalg.svd(drawn @ drawn.T, compute_uv=False)[0])


def outcomes(tried: dict[str, Callable[[], object]]) -> dict[str, str]:
    """For each, `done`, or how it was refused."""
    told = {}
    for name, attempt in tried.items():
        try:
            attempt()
            told[name] = "done"
        except BaseException as error:
            told[name] = f"{type(error).__name__}: {error}"
    return told


def report(facts: Facts) -> str:
    """What came of all attempts, as JSON."""
    return json.dumps({**outcomes(attacks(facts)), **outcomes(honest_work())})


if __name__ == "__main__":
    print(report(json.loads(sys.argv[1])))
