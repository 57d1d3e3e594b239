"""Messages of gRPC to requests of the same protocol over HTTP, and answers back."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from policy_server.errors import ObservationError
from policy_server.rpc.messages import message_types

CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where a message has the numbers of a datatype that are not sent as bytes."""


def model_path(name: str, version: str, what: str = "") -> str:
    """The path of a model over HTTP; a name that no path can hold leads nowhere."""
    known = all(each.isprintable() and "/" not in each for each in (name, version))
    below = f"/versions/{version}" if version else ""
    return f"/v2/models/{name if known and name else '-'}{below if known else ''}{what}"


def http_body(request: Any) -> tuple[bytes, int]:
    """A ModelInferRequest as the body of a request, and the length of its JSON.

    Raises:
        ObservationError: Its inputs and its bytes do not belong together.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise ObservationError(
            f"There are {len(request.inputs)} inputs, and the bytes of {len(raw)}."
        )
    inputs = []
    for index, each in enumerate(request.inputs):
        told = {"name": each.name, "datatype": each.datatype, "shape": list(each.shape)}
        if raw:
            told["parameters"] = {"binary_data_size": len(raw[index])}
        else:
            told["data"] = _numbers(each)
        inputs.append(told)
    parameters = {**_parameters(request.parameters), "binary_data_output": True}
    head: dict[str, Any] = {"inputs": inputs, "parameters": parameters}
    if request.id:
        head["id"] = request.id
    if request.outputs:
        head["outputs"] = [{"name": each.name} for each in request.outputs]
    text = msgspec.json.encode(head)
    return b"".join([text, *raw]), len(text)


def infer_response(content: bytes, json_length: int) -> Any:
    """A ModelInferResponse of an answer whose outputs are bytes."""
    types = message_types()
    head = msgspec.json.decode(memoryview(content)[:json_length])
    response = types["ModelInferResponse"](
        model_name=head["model_name"], model_version=head["model_version"], id=head.get("id", "")
    )
    place = json_length
    for each in head["outputs"]:
        end = place + each["parameters"]["binary_data_size"]
        response.outputs.add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
        response.raw_output_contents.append(content[place:end])
        place = end
    return response


def model_metadata(told: Mapping[str, Any]) -> Any:
    """A ModelMetadataResponse of the same as JSON."""
    response = message_types()["ModelMetadataResponse"](
        name=told["name"], versions=told["versions"], platform=told["platform"]
    )
    for tensors, kinds in (
        (response.inputs, told["inputs"]),
        (response.outputs, told["outputs"]),
    ):
        for each in kinds:
            tensors.add(name=each["name"], datatype=each["datatype"], shape=each["shape"])
    return response


def _numbers(tensor: Any) -> list[Any]:
    place = CONTENTS.get(tensor.datatype)
    if place is None:
        raise ObservationError(
            f"`{tensor.name}` is {tensor.datatype}: send it as bytes, in raw_input_contents."
        )
    numbers = list(getattr(tensor.contents, place))
    if tensor.datatype != "BYTES":
        return numbers
    try:
        return [each.decode() for each in numbers]
    except UnicodeDecodeError as error:
        raise ObservationError(f"`{tensor.name}` holds what is no UTF-8.") from error


def _parameters(entries: Iterable[Any]) -> dict[str, Any]:
    found = {}
    for each in entries:
        kind = each.value.WhichOneof("value")
        found[each.key] = None if kind is None else getattr(each.value, kind)
    return found
