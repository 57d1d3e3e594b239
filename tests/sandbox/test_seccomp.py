"""The filter of calls, run as the kernel runs it, for both architectures."""

import errno
import struct
from collections.abc import Sequence

import pytest

from policy_server.sandbox.profile import Profile
from policy_server.sandbox.seccomp import ALLOW, END, NETWORK, NEVER, REFUSE, program
from policy_server.sandbox.syscalls import ARCHITECTURES, NEWEST, NUMBERS, Architecture

PROCESS = 4_242
COMPUTES = Profile()
RUNS_A_GRAPH = Profile(starts_threads=True)
BUILDS = Profile(writable=("/somewhere",), starts_processes=True)
PROFILES = [COMPUTES, RUNS_A_GRAPH, BUILDS]
INNOCENT = {"x86_64": (0, 1, 3, 5, 11, 12, 231), "aarch64": (63, 64, 57, 80, 215, 214, 94)}
"""read, write, close, fstat, munmap, brk, exit_group."""


def run(code: Sequence[bytes], audit: int, number: int, arguments: Sequence[int]) -> int:
    """What the kernel does with a call."""
    padded = [*arguments, *[0] * (6 - len(arguments))]
    told = struct.pack("=iIQ6Q", number, audit, 0, *padded)
    at, accumulator = 0, 0
    while True:
        operation, if_true, if_false, value = struct.unpack("=HBBI", code[at])
        at += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            accumulator = struct.unpack_from("=I", told, value)[0]
        elif operation == 0x54:
            accumulator &= value
        else:
            held = {0x15: accumulator == value, 0x35: accumulator >= value}
            held[0x45] = bool(accumulator & value)
            at += if_true if held[operation] else if_false


class Filter:
    """What becomes of calls on an architecture."""

    def __init__(self, machine: str, profile: Profile, *, guards_files: bool = True) -> None:
        self.architecture: Architecture = ARCHITECTURES[machine]
        self._code = program(self.architecture, profile, PROCESS, guards_files=guards_files)

    def number(self, number: int, *arguments: int, audit: int | None = None) -> int:
        audit = self.architecture.audit if audit is None else audit
        return run(self._code, audit, number, arguments)

    def call(self, name: str, *arguments: int) -> int:
        number = self.architecture.number(name)
        assert number is not None
        return self.number(number, *arguments)


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_never_needed_is_refused(machine: str, profile: Profile) -> None:
    made = Filter(machine, profile)
    for name in NEVER:
        if made.architecture.number(name) is not None:
            assert made.call(name) == REFUSE | errno.EPERM, name
    for name in NETWORK:
        assert made.call(name) == REFUSE | errno.ENETUNREACH, name
    for number in INNOCENT[machine]:
        assert made.number(number) == ALLOW, number


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_calls_of_other_conventions_end_the_process_and_new_ones_are_not_there(
    machine: str,
) -> None:
    made = Filter(machine, COMPUTES)
    other = next(each for name, each in ARCHITECTURES.items() if name != machine)
    assert made.number(INNOCENT[machine][0], audit=other.audit) == END
    assert made.number(NEWEST + 1) == REFUSE | errno.ENOSYS
    assert made.number(0x3FFF_FFFF) == REFUSE | errno.ENOSYS
    if made.architecture.foreign is not None:
        assert made.number(made.architecture.foreign) == END
        assert made.number(made.architecture.foreign + 59) == END


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_arguments_are_looked_at(machine: str) -> None:
    made = Filter(machine, COMPUTES)
    private, shared = 0x22, 0x21
    assert made.call("mmap", 0, 4096, 3, private) == ALLOW
    assert made.call("mmap", 0, 4096, 1, 0x1) == ALLOW  # a file, shared
    assert made.call("mmap", 0, 4096, 3, shared) == REFUSE | errno.EPERM
    assert made.call("mmap", 0, 4096, 3, 0x23) == REFUSE | errno.EPERM  # MAP_SHARED_VALIDATE
    assert made.call("mmap", 0, 4096, 3, private | 0x100) == REFUSE | errno.EPERM
    assert made.call("prctl", 1, 9) == ALLOW
    assert made.call("prctl", 1, 0) == REFUSE | errno.EPERM
    assert made.call("prctl", 4, 1) == REFUSE | errno.EPERM
    assert made.call("prctl", 15) == ALLOW
    for call in ("kill", "tgkill"):
        assert made.call(call, PROCESS) == ALLOW
        assert made.call(call, PROCESS + 1) == REFUSE | errno.EPERM
        assert made.call(call, 0xFFFF_FFFF) == REFUSE | errno.EPERM
    for call in ("prlimit64",):
        assert made.call(call, 0) == made.call(call, PROCESS) == ALLOW
        assert made.call(call, 1) == REFUSE | errno.EPERM
    assert made.call("fcntl", 3, 8) == REFUSE | errno.EPERM
    assert made.call("fcntl", 3, 3) == ALLOW
    assert made.call("ioctl", 0, 0x5412) == REFUSE | errno.EPERM


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_profiles_start_what_they_may(machine: str) -> None:
    thread, process, namespace = 0x3D_0F00, 0x11, 0x1000_0011
    computes, runs, builds = (Filter(machine, profile) for profile in PROFILES)
    for flags in (thread, process, namespace):
        assert computes.call("clone", flags) == REFUSE | errno.EAGAIN
    assert runs.call("clone", thread) == builds.call("clone", thread) == ALLOW
    assert runs.call("clone", process) == REFUSE | errno.EAGAIN
    assert builds.call("clone", process) == ALLOW
    assert builds.call("clone", namespace) == REFUSE | errno.EPERM
    assert runs.call("clone3") == builds.call("clone3") == REFUSE | errno.ENOSYS
    for made in (computes, runs):
        assert made.call("execve") == REFUSE | errno.EPERM
    assert builds.call("execve") == ALLOW


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_where_nothing_else_guards_files_none_is_opened_for_writing(machine: str) -> None:
    here = 0xFFFF_FF9C
    guarded = Filter(machine, COMPUTES)
    alone = Filter(machine, COMPUTES, guards_files=False)
    builds = Filter(machine, BUILDS, guards_files=False)
    for flags in (0o1, 0o2, 0o100, 0o1000, 0o20_200_000):
        assert alone.call("openat", here, 0, flags) == REFUSE | errno.EACCES, oct(flags)
        assert guarded.call("openat", here, 0, flags) == ALLOW
        assert builds.call("openat", here, 0, flags) == ALLOW
    assert alone.call("openat", here, 0, 0o2_000_000) == ALLOW  # for reading, closed on exec
    assert alone.call("openat2") == REFUSE | errno.ENOSYS
    for made in (guarded, alone):
        assert made.call("unlinkat") == REFUSE | errno.EACCES
    assert builds.call("unlinkat") == ALLOW


def test_no_number_is_given_twice() -> None:
    for column in (0, 1):
        numbers = [each[column] for each in NUMBERS.values() if each[column] is not None]
        assert len(numbers) == len(set(numbers))
