"""The preprocessor's process, the module of a `ChildProcess`.

It reads its task and then batches of observations from the connection, and answers with features,
until the connection is closed. It has none of the server's environment, and gives up all that its
profile does not have before it reads the uploaded file.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from policy_server.contract.schema import Observation
from policy_server.errors import PolicyServerError
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.sandbox import wire
from policy_server.sandbox.child import confine, connect
from policy_server.sandbox.clock import tell_another_day
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.reply import Greeting, encode_reply


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
    confine()
    if task.probe:
        tell_another_day()
    try:
        preprocessor = UploadedPreprocessor(
            Path(task.file), _itself, task.width, together=not task.probe
        )
    except PolicyServerError as error:
        refused = limits.explained(str(error).removesuffix(".")) + "."
        connection.send(msgspec.msgpack.encode(Greeting(refused)))
        return
    connection.send(msgspec.msgpack.encode(Greeting(batches=preprocessor.batches)))
    decode = msgspec.msgpack.Decoder(ext_hook=wire.decoded).decode
    while (batch := connection.receive()) is not None:
        number, body = batch
        features, failures, *_ = preprocessor.features(decode(body))
        told = {row: limits.explained(cause) for row, cause in failures.items()}
        connection.send(encode_reply(features, told), number)


def _itself(observation: Any) -> Observation:
    """Decoded here, and nobody else's."""
    return cast(Observation, observation)


if __name__ == "__main__":
    main()
