"""How observations go to a preprocessor's process: as MessagePack, arrays in an extension of it."""

from typing import Any

import msgspec
import numpy as np

from policy_server.contract.fields.decoded import Decoded

ARRAY = 1
"""Code of the extension: type, sizes and bytes of an array."""


def encoded(value: Decoded) -> msgspec.msgpack.Ext:
    """An array that was sent as text, for who makes lists of it."""
    array = value.array
    parts = (array.dtype.str, array.shape, array.tobytes())
    return msgspec.msgpack.Ext(ARRAY, msgspec.msgpack.encode(parts))


def decoded(code: int, content: memoryview) -> Any:
    """The array as nested lists, as uploaded code has those that were sent so."""
    dtype, sizes, numbers = msgspec.msgpack.decode(content)
    return np.frombuffer(numbers, dtype).reshape(sizes).tolist()
