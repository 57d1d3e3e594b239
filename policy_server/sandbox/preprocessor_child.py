"""The preprocessor's process: `python -m policy_server.sandbox.preprocessor_child FD PARENT`.

It reads its task and then batches of observations from the connection, and answers with features,
until the connection is closed. It has none of the server's environment, and as little else as the
kernel lets it give up.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from policy_server.contract.schema import Observation
from policy_server.errors import PolicyServerError
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.sandbox import wire
from policy_server.sandbox.child import connect, give_up_rights
from policy_server.sandbox.clock import tell_another_day
from policy_server.sandbox.limits import ProcessLimits


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

    def as_json(self) -> bytes:
        """The task as one message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Task":
        """The task that `as_json` gave."""
        fields = json.loads(text)
        return cls(**{**fields, "limits": ProcessLimits(**fields["limits"])})


def main() -> None:
    """Do the task, which comes first, for batch after batch, until the parent wants no more."""
    connection = connect()
    first = connection.receive()
    if first is None:
        return
    task = Task.from_json(first[1])
    limits = task.limits
    give_up_rights(limits)
    if task.probe:
        tell_another_day()
    try:
        preprocessor = UploadedPreprocessor(
            Path(task.file), _itself, task.width, together=not task.probe
        )
    except PolicyServerError as error:
        refused = limits.explained(str(error).removesuffix(".")) + "."
        connection.send(msgspec.msgpack.encode(Reply(0, b"", {}, refused=refused)))
        return
    connection.send(msgspec.msgpack.encode(Reply(0, b"", {}, batches=preprocessor.batches)))
    decode = msgspec.msgpack.Decoder(ext_hook=wire.decoded).decode
    while (batch := connection.receive()) is not None:
        number, body = batch
        features, failures, too_large, _ = preprocessor.features(decode(body))
        told = {row: limits.explained(cause) for row, cause in failures.items()}
        reply = Reply(features.shape[1], features.tobytes(), told, too_large)
        connection.send(msgspec.msgpack.encode(reply), number)


def _itself(observation: Any) -> Observation:
    """Decoded here, and nobody else's."""
    return cast(Observation, observation)


if __name__ == "__main__":
    main()
