"""A filter of what a process may ask of the kernel (seccomp): it refuses, and never ends a process.

What a program cannot do at all is refused with an error that says so in Python's own words: there
is no network, no thread can be started. What the kernel has learned since is not there.
"""

import ctypes
import errno
import mmap
import os
import signal
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policy_server.sandbox.profile import Profile
from policy_server.sandbox.syscalls import ARCHITECTURES, NEWEST, Architecture

LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE, END = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, ARGUMENT_BYTES = 0, 4, 16, 8
SET_FILTER, ACTION_IS_KNOWN, ALL_THREADS = 1, 2, 1

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER = 1, 4, 35, 36
PR_SET_PTRACER = 0x5961_6D61
OF_OTHERS = (PR_SET_DUMPABLE, PR_SET_MM, PR_SET_CHILD_SUBREAPER, PR_SET_PTRACER)
KILL = int(signal.SIGKILL)
CLONE_THREAD, CLONE_NEW = 0x0001_0000, 0x7E02_0000
F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15
TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP = 0x5412, 0x541C, 0x8901, 0x8902
SHARED_ANONYMOUS = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
MAP_GROWSDOWN = 0x0100
O_TMPFILE = 0x0040_0000
WRITES = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | O_TMPFILE

NETWORK = ("socket", "connect", "accept", "accept4", "bind", "listen", "sendmmsg", "recvmmsg")
OTHERS = (
    *("rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal", "pidfd_open", "pidfd_getfd"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease"),
    *("kcmp", "migrate_pages", "move_pages", "get_robust_list", "sched_setscheduler"),
    *("sched_setparam", "sched_setattr", "setpriority", "ioprio_set"),
)
"""What reaches into other processes."""
NEVER = (
    *OTHERS,
    *("setns", "unshare", "chroot", "pivot_root", "mount", "umount2", "mount_setattr", "fsopen"),
    *("fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "statmount", "listmount"),
    *("name_to_handle_at", "open_by_handle_at", "keyctl", "add_key", "request_key", "bpf"),
    *("perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("io_setup", "io_submit", "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl"),
    *("msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semctl", "semtimedop"),
    *("mq_open", "mq_unlink", "mq_notify", "init_module", "finit_module", "delete_module"),
    *("kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "vhangup"),
    *("sethostname", "setdomainname", "syslog", "settimeofday", "clock_settime", "adjtimex"),
    *("clock_adjtime", "quotactl", "quotactl_fd", "iopl", "ioperm", "modify_ldt", "uselib"),
    *("personality", "lookup_dcookie", "setuid", "setgid", "setreuid", "setregid", "setresuid"),
    *("setresgid", "setgroups", "setfsuid", "setfsgid", "setsid", "chown", "lchown", "fchown"),
    *("fchownat", "setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr"),
    *("lremovexattr", "fremovexattr", "removexattrat", "fanotify_init", "inotify_init"),
    "inotify_init1",
)
ALONE = ("execve", "execveat", "setpgid", "tkill", "sendmsg", "recvmsg", "socketpair")
"""What only a process needs that starts others."""
CHANGES = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat"),
    *("truncate", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat", "creat"),
)
"""What changes files by their names."""


def offered(machine: str = os.uname().machine) -> bool:
    """Whether this kernel filters calls, as far as can be told without doing so."""
    if machine not in ARCHITECTURES:
        return False
    action = struct.pack("=I", REFUSE)
    number = ARCHITECTURES[machine].seccomp
    return bool(ctypes.CDLL(None).syscall(number, ACTION_IS_KNOWN, 0, action) == 0)


def install(profile: Profile, *, guards_files: bool) -> None:
    """Filter the calls of all threads of this process, and of all that it starts, for good.

    Args:
        profile: What the process may do.
        guards_files: Something else keeps it from writing where it may not.

    Raises:
        OSError: The kernel refuses.
    """
    architecture = ARCHITECTURES[os.uname().machine]
    code = program(architecture, profile, os.getpid(), guards_files=guards_files)
    instructions = ctypes.create_string_buffer(b"".join(code))
    described = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(architecture.seccomp, SET_FILTER, ALL_THREADS, described) != 0:
        raise OSError(ctypes.get_errno(), "the kernel takes no filter of calls (seccomp)")


@dataclass(frozen=True)
class Where:
    """A condition of one argument of a call.

    Attributes:
        argument: Its place, from 0.
        values: It is one of these, or none of these where `negated`.
        mask: Bits of it that count; None where all do.
        any_bit: Instead of values: it has one of these bits.
    """

    argument: int
    values: Sequence[int] = ()
    negated: bool = False
    mask: int | None = None
    any_bit: int | None = None

    def steps(self, skip: int) -> list[bytes]:
        """Instructions that go on behind them where it holds, and skip so many more where not."""
        code = [_step(LOAD, FIRST_ARGUMENT + self.argument * ARGUMENT_BYTES)]
        if self.any_bit is not None:
            return [*code, _step(ANY_BIT, self.any_bit, 0, skip)]
        if self.mask is not None:
            code.append(_step(AND, self.mask))
        for left, value in zip(range(len(self.values) - 1, -1, -1), self.values, strict=True):
            if self.negated:
                code.append(_step(EQUAL, value, left + skip, 0))
            else:
                code.append(_step(EQUAL, value, left, 0 if left else skip))
        return code


def program(
    architecture: Architecture, profile: Profile, process: int, *, guards_files: bool
) -> list[bytes]:
    """The instructions of the filter, 8 bytes each."""
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, architecture.audit, 1, 0),
        _step(RETURN, END),
        _step(LOAD, NUMBER),
    ]
    if architecture.foreign is not None:
        code += [_step(AT_LEAST, architecture.foreign, 0, 1), _step(RETURN, END)]
    code += [_step(AT_LEAST, NEWEST + 1, 0, 1), _refused(errno.ENOSYS)]
    for name, code_of_error in _refusals(profile, guards_files=guards_files):
        code += _call(architecture, name, [_refused(code_of_error)])
    for name, conditions, code_of_error in _conditions(profile, process, guards_files=guards_files):
        steps = [_refused(code_of_error)]
        for condition in reversed(conditions):
            steps = [*condition.steps(len(steps)), *steps]
        # What is allowed by these arguments may be refused by others: look on.
        code += _call(architecture, name, [*steps, _step(LOAD, NUMBER)])
    return [*code, _step(RETURN, ALLOW)]


def _call(architecture: Architecture, name: str, steps: list[bytes]) -> list[bytes]:
    """Instructions for one call, where this architecture has it."""
    number = architecture.number(name)
    return [] if number is None else [_step(EQUAL, number, 0, len(steps)), *steps]


def _step(operation: int, value: int, where_true: int = 0, where_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, where_true, where_false, value)


def _refused(code_of_error: int) -> bytes:
    return _step(RETURN, REFUSE | code_of_error)


def _refusals(profile: Profile, *, guards_files: bool) -> Iterable[tuple[str, int]]:
    """Calls that are refused whatever their arguments are, and with which error."""
    yield from ((name, errno.ENETUNREACH) for name in NETWORK)
    yield from ((name, errno.EPERM) for name in NEVER)
    if not profile.starts_processes:
        yield from ((name, errno.EPERM) for name in ALONE)
        yield from ((name, errno.EAGAIN) for name in ("fork", "vfork"))
    if not profile.starts_processes and not profile.starts_threads:
        yield from ((name, errno.EAGAIN) for name in ("clone", "clone3"))
    else:  # its arguments lie in memory, where a filter cannot look; the C library has another way
        yield "clone3", errno.ENOSYS
    if not profile.writable:
        yield from ((name, errno.EACCES) for name in CHANGES)
        if not guards_files:
            yield "openat2", errno.ENOSYS  # as clone3


def _conditions(
    profile: Profile, process: int, *, guards_files: bool
) -> Iterable[tuple[str, list[Where], int]]:
    """Calls that are refused where all conditions of their arguments hold."""
    # Memory that is shared, or grows like a stack, no limit of this process counts.
    yield "mmap", [Where(3, [SHARED_ANONYMOUS], mask=SHARED_ANONYMOUS)], errno.EPERM
    yield "mmap", [Where(3, any_bit=MAP_GROWSDOWN)], errno.EPERM
    yield "prctl", [Where(0, [PR_SET_PDEATHSIG]), Where(1, [KILL], negated=True)], errno.EPERM
    yield "prctl", [Where(0, OF_OTHERS)], errno.EPERM
    yield "prlimit64", [Where(0, [0, process], negated=True)], errno.EPERM
    yield "sched_setaffinity", [Where(0, [0], negated=True)], errno.EPERM
    yield "fcntl", [Where(1, [F_SETOWN, F_SETSIG, F_SETOWN_EX])], errno.EPERM
    yield "ioctl", [Where(1, [TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP])], errno.EPERM
    if profile.starts_processes:
        yield "clone", [Where(0, any_bit=CLONE_NEW)], errno.EPERM
    else:
        yield "tgkill", [Where(0, [process], negated=True)], errno.EPERM
        yield "kill", [Where(0, [process], negated=True)], errno.EPERM
        if profile.starts_threads:
            yield "clone", [Where(0, [0], mask=CLONE_THREAD)], errno.EAGAIN
    if not profile.writable and not guards_files:
        yield "open", [Where(1, any_bit=WRITES)], errno.EACCES
        yield "openat", [Where(2, any_bit=WRITES)], errno.EACCES
