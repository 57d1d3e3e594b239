"""The preprocessor's process: `python -m policy_server.sandbox.child FD TASK`.

It reads batches of observations from the socket FD and answers with features, until the socket is
closed. It has none of the server's environment, and as little else as the kernel lets it give up.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from policy_server.contract.schema import Observation
from policy_server.errors import PolicyServerError
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.sandbox.clock import tell_another_day
from policy_server.sandbox.limits import ProcessLimits

HEAD = struct.Struct("!IQ")
"""Before a message: its bytes, and the number of the batch that it is or answers."""
CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
BYTES_PER_MEGABYTE = 1_000_000
CHUNK_BYTES = 262_144


class Reply(msgspec.Struct, array_like=True):
    """Features of a batch, or why there are none.

    Attributes:
        width: F.
        features: float32[B, F] as bytes; rows that failed are 0.
        failures: Row -> what the uploaded code said.
        too_large: Rows with a number beyond float32.
        refused: Why the file could not even be loaded.
        batches: It defines `preprocess_batch`; in the first reply, which comes unasked.
    """

    width: int
    features: bytes
    failures: Mapping[int, str]
    too_large: Collection[int] = ()
    refused: str | None = None
    batches: bool = False


@dataclass(frozen=True)
class Task:
    """What the process is for.

    Attributes:
        file: The preprocessor.
        limits: What it may take.
        width: F, the numbers that the network takes; None while nobody knows.
        probe: It tries the preprocessor otherwise than serving mostly runs it: on another day, and
            each observation by itself.
    """

    file: str
    limits: ProcessLimits
    width: int | None = None
    probe: bool = False

    def as_json(self) -> str:
        """The task as one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Task":
        """The task that `as_json` gave."""
        fields = json.loads(text)
        return cls(**{**fields, "limits": ProcessLimits(**fields["limits"])})


def main(descriptor: int, task: Task) -> None:
    """Serve batches until the parent closes the socket."""
    limits = task.limits
    give_up_rights(limits)
    if task.probe:
        tell_another_day()
    with socket.socket(fileno=descriptor) as connection:
        try:
            preprocessor = UploadedPreprocessor(
                Path(task.file), _itself, task.width, together=not task.probe
            )
        except PolicyServerError as error:
            refused = limits.explained(str(error).removesuffix(".")) + "."
            _send(connection, Reply(0, b"", {}, refused=refused))
            return
        _send(connection, Reply(0, b"", {}, batches=preprocessor.batches))
        decode = msgspec.msgpack.Decoder().decode
        while (batch := _receive(connection)) is not None:
            number, body = batch
            features, failures, too_large = preprocessor.features(decode(body))
            told = {row: limits.explained(cause) for row, cause in failures.items()}
            reply = Reply(features.shape[1], features.tobytes(), told, too_large)
            _send(connection, reply, number)


def give_up_rights(limits: ProcessLimits) -> None:
    """Bound memory, files and processes; leave the network; die with the parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not limits.confined:
        return
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # As root the first works; else where the kernel lets users have namespaces; else not at all.
    if libc.unshare(CLONE_NEWNET) != 0:
        libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)
    memory = limits.megabytes * BYTES_PER_MEGABYTE
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # lower already
            resource.setrlimit(what, (most, most))


def _itself(observation: Any) -> Observation:
    """Decoded here, and nobody else's."""
    return cast(Observation, observation)


def _receive(connection: socket.socket) -> tuple[int, bytes] | None:
    """The next batch with its number; the parent sends one at a time, and waits."""
    received = connection.recv(CHUNK_BYTES)
    wanted = HEAD.size
    while len(received) < wanted or len(received) < (
        wanted := HEAD.size + HEAD.unpack_from(received)[0]
    ):
        chunk = connection.recv(CHUNK_BYTES)
        if not chunk:
            return None
        received += chunk
    return HEAD.unpack_from(received)[1], received[HEAD.size :]


def _send(connection: socket.socket, reply: Reply, number: int = 0) -> None:
    body = msgspec.msgpack.encode(reply)
    connection.sendall(HEAD.pack(len(body), number) + body)


if __name__ == "__main__":
    # What uploaded code prints goes to the server's log, not into the protocol.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    descriptor, task = sys.argv[1:]
    main(int(descriptor), Task.from_json(task))
