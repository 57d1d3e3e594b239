"""Commands where the kernel refuses some calls, as a container's filter does it.

`python without_calls.py NUMBERS ERROR COMMAND ...`: numbers of calls, separated by commas.
"""

import ctypes
import errno
import os
import struct
import sys

LOAD, EQUAL, RETURN, ALLOW, REFUSE = 0x20, 0x15, 0x06, 0x7FFF_0000, 0x0005_0000
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
UNSHARE = {"x86_64": 272, "aarch64": 97}[os.uname().machine]
LANDLOCK, SECCOMP = 444, {"x86_64": 317, "aarch64": 277}[os.uname().machine]


def without_calls(
    calls: tuple[int, ...], command: list[str], error: int = errno.EPERM
) -> list[str]:
    """The command to run instead."""
    return [sys.executable, __file__, ",".join(map(str, calls)), str(error), *command]


def _refuse(calls: list[int], error: int) -> None:
    code = [struct.pack("=HBBI", LOAD, 0, 0, 0)]
    for call in calls:
        code.append(struct.pack("=HBBI", EQUAL, 0, 1, call))
        code.append(struct.pack("=HBBI", RETURN, 0, 0, REFUSE | error))
    code.append(struct.pack("=HBBI", RETURN, 0, 0, ALLOW))
    instructions = ctypes.create_string_buffer(b"".join(code))
    described = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(SET_SECCOMP, FILTER, described, 0, 0) == 0


if __name__ == "__main__":
    numbers, error_number, *words = sys.argv[1:]
    _refuse(list(map(int, numbers.split(","))), int(error_number))
    os.execvp(words[0], words)
