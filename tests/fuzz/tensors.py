"""Requests of the Open Inference Protocol: what they hold is read as it was said, or refused."""

import json
import struct

import numpy as np

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.tensors import ObservationTensors
from policy_server.errors import ObservationError
from policy_server.web.tensor_wire import read_message
from tests.fuzz.target import Target

SCHEMA = read_schema("""\
observations:
  x: {type: "List[float]", min_items: 2, max_items: 2, minimum: -9, maximum: 9}
  mode: {type: str, enum: [eco, fast]}
  open: {type: bool, default: false}
  count: {type: int, minimum: 0, maximum: 5}
""")
TENSORS = ObservationTensors(SCHEMA, Decoder(SCHEMA))
MOST_ROWS = 10_000


def tensors(content: bytes) -> bool:
    """A request, of JSON alone or with bytes behind the last brace of it."""
    found = False
    for length in (None, content.rfind(b"}") + 1):
        try:
            message, read = read_message(content, length)
            shapes = [each.shape for each in message.inputs]
            assert [list(each.values.shape) for each in read] == shapes
            records = TENSORS.records(read)
        except ObservationError:
            continue
        assert len(records) == shapes[0][0] <= MOST_ROWS
        found = True
    return found


def request(**inputs: tuple[str, list[int], object]) -> bytes:
    """A seed: tensors as JSON."""
    told = [
        {"name": name, "datatype": datatype, "shape": shape, "data": data}
        for name, (datatype, shape, data) in inputs.items()
    ]
    return json.dumps({"inputs": told, "parameters": {"seed": 3}}).encode()


def binary() -> bytes:
    """A seed: the same as bytes."""
    texts = b"".join(struct.pack("<I", len(each)) + each for each in (b"eco", b"fast"))
    parts = {
        "x": ("FP32", [2, 2], np.zeros((2, 2), np.float32).tobytes()),
        "mode": ("BYTES", [2], texts),
        "open": ("BOOL", [2, 1], b"\0\1"),
        "count": ("INT8", [2], b"\1\5"),
    }
    told = [
        {"name": name, "datatype": datatype, "shape": shape}
        | {"parameters": {"binary_data_size": len(content)}}
        for name, (datatype, shape, content) in parts.items()
    ]
    return json.dumps({"inputs": told}).encode() + b"".join(each[2] for each in parts.values())


ONE = {
    "x": ("FP64", [1, 2], [1, 2]),
    "mode": ("BYTES", [1], ["eco"]),
    "open": ("BOOL", [1], [True]),
    "count": ("INT64", [1], [3]),
}
TARGETS = {
    "tensors": Target(
        tensors,
        {
            "one": request(**ONE),
            "nested": request(**{**ONE, "x": ("FP64", [1, 2], [[1, 2]])}),
            "none": request(
                **{name: (kind, [0, *s[1:]], []) for name, (kind, s, _) in ONE.items()}
            ),
            "binary": binary(),
        },
        ('"shape":', '"data":', '"binary_data_size":', "2147483647", "[0,", "UINT64", "FP16", "-1"),
        share=10,
    )
}
