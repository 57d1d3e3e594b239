"""The process of an engine, the module of a `ChildProcess`.

It reads its task and then batches of features from the connection, and answers with what the
network puts out, until the connection is closed. It gives up all that its profile does not have
before it reads the model.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine
from policy_server.policy.engines.registry import load_engine
from policy_server.sandbox.child import confine, connect
from policy_server.sandbox.limits import EngineLimits

DONE, FAILED = b"\0", b"\1"
"""Begin a reply: of floats, or of words."""
WORDS = 4_000
"""Bytes of what went wrong."""


@dataclass(frozen=True)
class EngineTask:
    """What the process is for.

    Attributes:
        engine: Its name.
        folder: The model's.
        output: Name of the output that is served.
        limits: What the process may take.
    """

    engine: str
    folder: str
    output: str
    limits: EngineLimits

    def as_json(self) -> bytes:
        """The task as one message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "EngineTask":
        """The task that `as_json` gave."""
        fields = json.loads(text)
        return cls(**{**fields, "limits": EngineLimits(**fields["limits"])})


def main() -> None:
    """Do the task, which comes first, for batch after batch, until the parent wants no more."""
    connection = connect()
    first = connection.receive()
    if first is None:
        return
    task = EngineTask.from_json(first[1])
    confine()
    try:
        engine = load_engine(task.engine, Path(task.folder), task.output)
        width = engine.feature_width
        engine.run(np.zeros((1, width), np.float32))  # the first run is slower than others
    except Exception as error:  # whatever a file makes the library raise
        connection.send(_failure(error))
        return
    connection.send(DONE)
    while (batch := connection.receive()) is not None:
        number, body = batch
        connection.send(_reply(engine, body, width), number)


def _reply(engine: Engine, body: bytes, width: int) -> bytes:
    features = np.frombuffer(body, np.float32).reshape(-1, width)
    try:
        return DONE + np.asarray(engine.run(features), np.float32).tobytes()
    except Exception as error:  # as above, and where memory ends
        return _failure(error)


def _failure(error: Exception) -> bytes:
    words = str(error) if isinstance(error, EngineFailed) else repr(error)
    return FAILED + words.encode(errors="replace")[: WORDS - 1]


if __name__ == "__main__":
    main()
