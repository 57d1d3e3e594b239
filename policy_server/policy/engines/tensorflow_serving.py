"""TensorFlow Serving: networks of SavedModels that `tensorflow_model_server` runs.

It is asked by REST in its row format. Its other protocol, gRPC, takes several times the processor
time in Python, and the messages of it all of TensorFlow.
"""

import json
from pathlib import Path
from urllib.parse import quote

import msgspec
import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.http_client import HttpAnswer, HttpClient
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.remote import NotReady, RemoteEngine, Request, refused
from policy_server.policy.engines.served_model import Widths
from policy_server.policy.engines.servers import EngineServers
from policy_server.policy.timing import MAX_BATCH

NUMBER_BYTES, HEAD_BYTES = 64, 16_384
"""Of an answer: of one number, which has a line of its own there; and of what is around them."""


class _Answer(msgspec.Struct):
    predictions: list[list[float]]


class RowFormatWire:
    """Asks for rows by REST.

    Args:
        name: Of the model there.
        widths: Of its rows.
    """

    most_rows = MAX_BATCH

    def __init__(self, name: str, widths: Widths) -> None:
        self._path = f"/v1/models/{quote(name, safe='')}:predict"
        self._widths = widths

    @property
    def who(self) -> str:
        """The server; versions have one model each."""
        return "TensorFlow Serving"

    @property
    def feature_width(self) -> int:
        """F."""
        return self._widths.features

    def request(self, features: Floats) -> Request:
        """Ask about float32[B, F]."""
        rows = {"instances": features.tolist()}
        # Infinities are no JSON, which msgspec keeps to; TensorFlow Serving reads them.
        finite = np.isfinite(features).all()
        body = msgspec.json.encode(rows) if finite else json.dumps(rows).encode()
        most = HEAD_BYTES + len(features) * (1 + self._widths.outputs) * NUMBER_BYTES
        return Request(self._path, {"Content-Type": "application/json"}, body, most)

    def outputs(self, answer: HttpAnswer, rows: int) -> Floats:
        """The float32[B, W] of an answer."""
        if answer.status in (404, 503):
            raise refused(answer, NotReady)
        if answer.status != 200:
            raise refused(answer)
        try:
            predictions = _decoded(answer.body)
            if len(predictions) != rows or any(
                len(row) != self._widths.outputs for row in predictions
            ):
                raise ValueError(f"{rows} rows of {self._widths.outputs} numbers are wanted")
            with np.errstate(over="ignore"):
                return np.array(predictions, np.float64).astype(np.float32)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise EngineFailed(f"its answer is none to what was asked: {error}") from error


def load(folder: Path, output: str, servers: EngineServers) -> RemoteEngine:
    """The engine of a folder that holds a SavedModel of one input and one output."""
    if servers.tensorflow is None:
        raise EngineFailed(
            "TensorFlow Serving runs this version, and POLICY_SERVER_ENGINE does not say "
            "`tensorflow_serving`: set it, or publish the version again"
        )
    widths, recorded = Widths.read(folder), Recorded.read(folder)
    served = servers.tensorflow.serve(folder)
    return RemoteEngine(
        RowFormatWire(served.name, widths),
        HttpClient(served.url),
        servers,
        recorded,
        released=served.close,
    )


def _decoded(body: bytes) -> list[list[float]]:
    try:
        return msgspec.json.decode(body, type=_Answer).predictions
    except msgspec.DecodeError:  # it may hold NaN or Infinity, which JSON has not
        return msgspec.convert(json.loads(body), _Answer).predictions
