"""Messages of the Open Inference Protocol over HTTP: tensors as JSON, or as bytes behind JSON."""

import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType
from numpy.typing import NDArray

from policy_server.contract.operations import MAX_SEED
from policy_server.contract.tensors import DATATYPES, REAL, TEXT, Tensor
from policy_server.errors import ObservationError

MAX_AXES = 8
MAX_TENSORS = 10_000
LENGTH = struct.Struct("<I")
Size = Annotated[int, Meta(ge=0, le=2**31)]
SUMMARY = "This is no inference request."


class InputParameters(msgspec.Struct, forbid_unknown_fields=True):
    """Of one input."""

    binary_data_size: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class Input(msgspec.Struct):
    """An input as its JSON has it."""

    name: str
    datatype: str
    shape: Annotated[list[Size], Meta(max_length=MAX_AXES)]
    parameters: InputParameters = msgspec.field(default_factory=InputParameters)
    data: msgspec.Raw | UnsetType = UNSET


class OutputParameters(msgspec.Struct, forbid_unknown_fields=True):
    """Of one output."""

    binary_data: bool | UnsetType = UNSET


class Output(msgspec.Struct):
    """An output that is wanted."""

    name: str
    parameters: OutputParameters = msgspec.field(default_factory=OutputParameters)


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """Of a request.

    Attributes:
        seed: Makes draws repeatable.
        deterministic: The most probable actions are wanted instead of a draw.
        binary_data_output: Outputs are wanted as bytes that say nothing of their own.
        timeout: Microseconds after which the decision is of no use, as Triton has it.
        priority: Of no meaning here, where nobody is let past others.
    """

    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)] | None = None
    deterministic: bool = False
    binary_data_output: bool = False
    timeout: Annotated[int, Meta(ge=1)] | None = None
    priority: int = 0


class Message(msgspec.Struct):
    """The JSON of a request."""

    inputs: Annotated[list[Input], Meta(max_length=MAX_TENSORS)]
    id: str | None = None
    parameters: Parameters = msgspec.field(default_factory=Parameters)
    outputs: Annotated[list[Output], Meta(max_length=MAX_TENSORS)] | None = None


def read_message(body: bytes, json_length: int | None) -> tuple[Message, list[Tensor]]:
    """A request, and its inputs.

    Args:
        body: JSON, and bytes of inputs behind it.
        json_length: Of the JSON, where the request says it.

    Raises:
        ObservationError: It is none: what is wrong.
    """
    end = len(body) if json_length is None else json_length
    if end > len(body):
        raise _wrong(f"its JSON would be {end} bytes long, and all of it is {len(body)}")
    try:
        message = msgspec.json.decode(memoryview(body)[:end], type=Message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _wrong(str(error)) from error
    tensors = []
    for each in message.inputs:
        size = each.parameters.binary_data_size
        if size is UNSET:
            tensors.append(_of_json(each))
            continue
        if each.data is not UNSET:
            raise _wrong(f"`{each.name}` has both `data` and `binary_data_size`")
        if end + size > len(body):
            raise _wrong(f"the bytes of `{each.name}` are cut short")
        tensors.append(_of_bytes(each, body[end : end + size]))
        end += size
    if end < len(body):
        raise _wrong(f"{len(body) - end} bytes behind it belong to no input")
    return message, tensors


def _wrong(detail: str) -> ObservationError:
    return ObservationError(f"{SUMMARY} {detail[:1].upper()}{detail[1:]}.")


def _count(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _of_json(given: Input) -> Tensor:
    if given.data is UNSET:
        raise _wrong(f"`{given.name}` has no `data`")
    kind = _item_type(given)
    try:
        values = msgspec.json.decode(given.data, type=list[kind])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, UnicodeError) as flat:
        nested: Any = kind
        for _ in given.shape:
            nested = list[nested]
        try:
            values = msgspec.json.decode(given.data, type=nested)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            raise _wrong(f"`data` of `{given.name}`: {flat}") from flat
    array = _array(given, values)
    if array.size != _count(given.shape) or array.shape not in ((array.size,), (*given.shape,)):
        raise _wrong(f"`data` of `{given.name}` is not of the shape {given.shape}")
    return _shaped(given, array)


def _shaped(given: Input, values: NDArray[Any]) -> Tensor:
    """The tensor of so many values; no memory holds all shapes that have none."""
    try:
        return Tensor(given.name, given.datatype, values.reshape(given.shape))
    except ValueError as error:
        raise _wrong(f"`{given.name}` cannot be of the shape {given.shape}: {error}") from error


def _array(given: Input, values: Any) -> NDArray[Any]:
    try:
        if given.datatype == TEXT:
            return np.array(values, object)
        with np.errstate(over="ignore"):
            return np.array(values, DATATYPES[given.datatype])
    except (ValueError, OverflowError) as error:  # lists of unequal length
        raise _wrong(f"`data` of `{given.name}` is not of the shape {given.shape}") from error


def _item_type(given: Input) -> Any:
    """What msgspec reads one number, or one text, as."""
    if given.datatype == TEXT:
        return str
    if given.datatype not in DATATYPES:
        known = ", ".join([*DATATYPES, TEXT])
        raise _wrong(f"the datatype of `{given.name}` is one of {known}, not {given.datatype}")
    if given.datatype in REAL:
        return float
    if given.datatype == "BOOL":
        return bool
    ends = np.iinfo(DATATYPES[given.datatype])
    if ends.max > 2**63 - 1:  # more than msgspec compares with
        return Annotated[int, Meta(ge=0)]
    return Annotated[int, Meta(ge=int(ends.min), le=int(ends.max))]


def _of_bytes(given: Input, content: bytes) -> Tensor:
    count = _count(given.shape)
    if given.datatype == TEXT:
        found = _texts(given, content, count)  # so many there are: a shape may say anything
        texts = np.empty(count, object)
        texts[:] = found
        return _shaped(given, texts)
    _item_type(given)
    dtype = DATATYPES[given.datatype]
    if len(content) != count * dtype.itemsize:
        raise _wrong(
            f"`{given.name}` has {len(content)} bytes, and {given.shape} of {given.datatype} are "
            f"{count * dtype.itemsize}"
        )
    if given.datatype == "BOOL" and max(content, default=0) > 1:
        raise _wrong(f"`{given.name}` holds bytes that are neither 0 nor 1")
    return _shaped(given, np.frombuffer(content, dtype))


def _texts(given: Input, content: bytes, count: int) -> list[str]:
    found: list[str] = []
    place = 0
    try:
        while place < len(content) and len(found) <= count:
            (size,) = LENGTH.unpack_from(content, place)
            place += LENGTH.size
            if place + size > len(content):
                raise _wrong(f"the texts of `{given.name}` are cut short")
            found.append(content[place : place + size].decode())
            place += size
    except (struct.error, UnicodeDecodeError) as error:
        raise _wrong(f"the texts of `{given.name}` are damaged: {error}") from error
    if len(found) != count:
        raise _wrong(f"`{given.name}` does not hold the {count} texts of {given.shape}")
    return found


def write_message(
    head: dict[str, Any], outputs: Sequence[Tensor], wanted: Message
) -> tuple[bytes, int | None]:
    """An answer.

    Args:
        head: What stands beside the outputs.
        outputs: In the order in which they are told.
        wanted: The request, which says what is wanted as bytes.

    Returns:
        All of it, and the length of its JSON where bytes stand behind that.
    """
    asked = {each.name: each.parameters.binary_data for each in wanted.outputs or ()}
    described, parts = [], []
    for each in outputs:
        told: dict[str, Any] = {
            "name": each.name,
            "datatype": each.datatype,
            "shape": list(each.values.shape),
        }
        as_bytes = asked.get(each.name, UNSET)
        if wanted.parameters.binary_data_output if as_bytes is UNSET else as_bytes:
            content = _bytes_of(each)
            told["parameters"] = {"binary_data_size": len(content)}
            parts.append(content)
        else:
            told["data"] = each.values.ravel().tolist()
        described.append(told)
    text = msgspec.json.encode({**head, "outputs": described})
    if not parts:
        return text, None
    return b"".join([text, *parts]), len(text)


def _bytes_of(tensor: Tensor) -> bytes:
    if tensor.datatype != TEXT:
        return tensor.values.astype(DATATYPES[tensor.datatype], copy=False).tobytes()
    texts = [str(each).encode() for each in tensor.values.ravel().tolist()]
    return b"".join(LENGTH.pack(len(text)) + text for text in texts)
