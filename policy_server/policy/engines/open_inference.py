"""Models of servers that speak the Open Inference Protocol: Triton, KServe, MLServer, OpenVINO.

Tensors go as raw bytes behind a head in JSON; as JSON where a server takes no others.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from policy_server.contract.tensors import DATATYPES
from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.http_client import HttpAnswer, HttpClient
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.remote import NotReady, RemoteEngine, Request, refused
from policy_server.policy.engines.served_model import ServedModel, Tensor
from policy_server.policy.engines.servers import EngineServers

JSON_LENGTH = "Inference-Header-Content-Length"
HEAD_BYTES = 16_384
"""Of an answer: what its JSON may hold beside numbers."""
NUMBER_BYTES = 64
"""Of one number in JSON, with all that a server may put around it."""
MOST_BYTES = 256_000_000
"""Of any answer, where the shape of the output is open."""
REFUSALS = (400, 406, 415, 422)
"""Of tensors as bytes: no status is agreed upon."""
MISFITS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What JSON leads to that is not what it should be."""


class OpenInferenceWire:
    """Asks one model for one output.

    Args:
        model: All of it is known.
    """

    def __init__(self, model: ServedModel) -> None:
        if model.input is None or model.output is None:
            raise EngineFailed("what its model takes and gives was never found out")
        self._model = model
        self._input, self._output = model.input, model.output
        self._path = f"{path_of(model)}/infer"
        self._has_batch = len(self._input.shape) > 1
        self._axes = self._input.shape[1:] if self._has_batch else self._input.shape
        self._type = _type_of(self._input)
        self._gives = _type_of(self._output)
        self._width = _size(self._output.shape[1:] if self._has_batch else self._output.shape)
        self._as_bytes = True
        self._certain = False

    @property
    def who(self) -> str:
        """The model and its server."""
        return f"the model `{self._model.model}` of the inference server `{self._model.server}`"

    @property
    def feature_width(self) -> int:
        """F."""
        return abs(_size(self._axes))

    @property
    def most_rows(self) -> int:
        """Rows of one request."""
        return self._model.rows

    def request(self, features: Floats) -> Request:
        """Ask about float32[B, F]."""
        with np.errstate(over="ignore", invalid="ignore"):
            rows = features.astype(self._type, copy=False)
        shape = [len(rows), *self._axes] if self._has_batch else list(self._axes)
        tensor: dict[str, Any] = {
            "name": self._input.name,
            "shape": shape,
            "datatype": self._input.datatype,
        }
        wanted: dict[str, Any] = {"name": self._output.name}
        known = HEAD_BYTES + len(rows) * self._width * NUMBER_BYTES
        most = MOST_BYTES if self._width < 0 else min(known, MOST_BYTES)
        if not self._as_bytes:
            tensor["data"] = rows.ravel().tolist()
            body = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
            return Request(self._path, {"Content-Type": "application/json"}, body, most)
        content = rows.tobytes()
        tensor["parameters"] = {"binary_data_size": len(content)}
        wanted["parameters"] = {"binary_data": True}
        head = json.dumps({"inputs": [tensor], "outputs": [wanted]}).encode()
        headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
        return Request(self._path, headers, head + content, most)

    def outputs(self, answer: HttpAnswer, rows: int) -> Floats | None:
        """The float32[B, W] of an answer; None where JSON is to be tried instead of bytes."""
        if answer.status == 503:
            raise refused(answer, NotReady)
        if answer.status != 200:
            if self._as_bytes and not self._certain and answer.status in REFUSALS:
                self._as_bytes = False
                return None
            raise refused(answer)
        try:
            found = self._numbers(answer, rows)
        except MISFITS as error:
            raise EngineFailed(f"its answer is none to what was asked: {error}") from error
        self._certain = True
        return found

    def _numbers(self, answer: HttpAnswer, rows: int) -> Floats:
        length = answer.headers.get(JSON_LENGTH.lower())
        end = len(answer.body) if length is None else _count(length, "the length of its JSON")
        if end > len(answer.body):
            raise ValueError(f"its JSON has {end} bytes, and all of it {len(answer.body)}")
        outputs = json.loads(answer.body[:end])["outputs"]
        (output,) = [each for each in outputs if each["name"] == self._output.name]
        if output["datatype"] != self._output.datatype:
            raise ValueError(
                f"its `{self._output.name}` is {output['datatype']}, not {self._output.datatype}"
            )
        shape = [_count(size, "a size") for size in output["shape"]]
        wanted = rows * self._width if self._width >= 0 else None
        size = _product(shape)
        sound = size == wanted if wanted is not None else size % rows == 0 and size > 0
        if not sound or (self._has_batch and shape[0] != rows):
            raise ValueError(f"its `{self._output.name}` has the shape {shape} for {rows} rows")
        if "data" in output:
            numbers = np.array(_flat(output["data"]), np.float64)
        else:
            numbers = self._from_bytes(answer.body, end, outputs, output)
        if numbers.size != size:
            raise ValueError(f"it sends {numbers.size} numbers, and says that there are {size}")
        with np.errstate(over="ignore"):
            return numbers.reshape(rows, -1).astype(np.float32)

    def _from_bytes(
        self, body: bytes, start: int, outputs: list[dict[str, Any]], output: dict[str, Any]
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """The bytes of an output, which stand in the order of the outputs."""
        for each in outputs:
            size = 0
            if "data" not in each:
                size = _count(each["parameters"]["binary_data_size"], "a number of bytes")
            if each is output:
                if start + size > len(body):
                    raise ValueError("its bytes are cut short")
                return np.frombuffer(body[start : start + size], self._gives)
            start += size
        raise AssertionError  # it is one of them


def load(folder: Path, output: str, servers: EngineServers) -> RemoteEngine:
    """The engine of a model whose `ServedModel` lies in a folder."""
    model = ServedModel.read(folder)
    url = url_of(model, servers)
    if model.output is None or model.output.name != output:
        raise EngineFailed(f"{folder.name} knows no output `{output}`")
    client = HttpClient(lambda: url)
    return RemoteEngine(OpenInferenceWire(model), client, servers, Recorded.read(folder))


async def inspect(folder: Path, servers: EngineServers) -> Mapping[str, Any]:
    """What a server says of a model: `versions`, and `inputs` and `outputs` as Tensor has them.

    Raises:
        EngineFailed: There is no such server or model, or what it says makes no sense.
    """
    model = ServedModel.read(folder)
    url = url_of(model, servers)
    client = HttpClient(lambda: url)
    try:
        answer = await client.ask("GET", path_of(model), most_bytes=1_000_000)
    finally:
        client.close()
    who = f"the model `{model.model}` of the inference server `{model.server}`"
    if answer.status != 200:
        error = refused(answer)
        raise EngineFailed(f"{who}: {error}; {error.__notes__[0]}")
    try:
        found = json.loads(answer.body)
        tensors = {
            name: [
                msgspec.to_builtins(msgspec.convert(each, Tensor)) for each in found.get(name) or []
            ]
            for name in ("inputs", "outputs")
        }
        versions = [str(each) for each in found.get("versions") or []]
    except MISFITS as error:
        raise EngineFailed(f"{who}: what it says of it makes no sense: {error}") from error
    return {"versions": versions, **tensors}


def url_of(model: ServedModel, servers: EngineServers) -> str:
    """Where the server of a model is; raises EngineFailed where the settings do not name it."""
    if model.server not in servers.inference:
        known = ", ".join(f"`{name}`" for name in servers.inference) or "none"
        raise EngineFailed(
            f"there is no inference server `{model.server}`: {known} of them is named by "
            "POLICY_SERVER_INFERENCE_SERVERS"
        )
    return servers.inference[model.server]


def path_of(model: ServedModel) -> str:
    """The path of a model, whatever characters its name has."""
    version = f"/versions/{quote(model.version, safe='')}" if model.version else ""
    return f"/v2/models/{quote(model.model, safe='')}{version}"


def _type_of(tensor: Tensor) -> np.dtype[Any]:
    if tensor.datatype not in DATATYPES:
        raise EngineFailed(f"its `{tensor.name}` is {tensor.datatype}: numbers are wanted")
    return DATATYPES[tensor.datatype]


def _size(axes: tuple[int, ...]) -> int:
    """How many numbers there are; -1 where that is open."""
    return -1 if any(size < 0 for size in axes) else _product(axes)


def _product(sizes: "tuple[int, ...] | list[int]") -> int:
    found = 1
    for size in sizes:
        found *= size
    return found


def _count(value: object, what: str) -> int:
    """A number of things, from JSON or a header; no bool, nothing below 0."""
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError(f"{what} is {value!r}")
    return number


def _flat(values: Any) -> list[float]:
    """Numbers that are nested or flat, in their order; anything else raises TypeError."""
    if not isinstance(values, list):
        raise TypeError("its data is no list")
    flat: list[float] = []
    waiting = [iter(values)]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, list):
                waiting.append(iter(each))
                break
            if isinstance(each, bool):
                each = int(each)
            if not isinstance(each, int | float):
                raise TypeError(f"its data holds {type(each).__name__}")
            flat.append(each)
        else:
            waiting.pop()
    return flat
