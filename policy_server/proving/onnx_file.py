"""Reading of ONNX files: one file that holds all its weights, or is given them from beside it."""

import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.foreign.exports import OLD_TORCH
from policy_server.proving.onnx_allowed import check_amount
from policy_server.resources import COMMAND

MOST_BYTES = 1_900_000_000
"""Of a model with the weights from beside it: a protobuf holds 2 GB."""
MARK = b"location"
"""The key by which a tensor names the file of its weights; in every model that has such tensors."""
SHOWN_FILES = 3
PACKED = {"UINT4", "INT4", "FLOAT4E2M1", "UINT2", "INT2", "FLOAT6E2M3", "FLOAT6E3M2"}
"""Types of which several numbers share a byte."""


def read_onnx(source: Path) -> Any:
    """Read an uploaded ONNX file, a ModelProto, and check it.

    Raises:
        UploadRejected: It is no sound ONNX file, or keeps weights in other files: uploaded, a path
            in it could name any file of the server.
    """
    onnx = onnx_package()
    model = _parse(onnx, source)
    if external := list(_external(model)):
        raise UploadRejected(
            f"The ONNX file keeps its weights in other files: export it as one. {_files(external)} "
            "Export it with `torch.onnx.export(..., external_data=False)`, or make one file of it "
            "where these lie: `onnx.save(onnx.load('policy.onnx'), 'one.onnx')`. Or put them all "
            f"into a folder: `{COMMAND} check FOLDER` and `publish FOLDER` read "
            f"NAME.onnx.data beside NAME.onnx. {OLD_TORCH}"
        )
    check_amount(model)
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker's own
        raise UploadRejected(f"The model is not a sound ONNX file: {_first_line(error)}") from error
    return model


def value_words(value: Any) -> str:
    """An input or an output of a graph in words: name, type, shape."""
    kind = value.type.tensor_type
    sizes = [str(axis.dim_value or axis.dim_param or "open") for axis in kind.shape.dim]
    return f"{value.name}: {type_word(kind.elem_type).lower()} [{', '.join(sizes)}]"


def type_word(kind: int) -> str:
    """What ONNX calls a type of numbers; files may hold any number for one."""
    types = onnx_package().TensorProto.DataType
    return str(types.Name(kind)) if kind in types.values() else f"type {kind}"


def may_lack_weights(content: bytes) -> bool:
    """The ONNX file of this content may keep weights in other files; False is sure."""
    return MARK in content


def embed_weights(source: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """An ONNX file with the weights that it keeps in files beside it.

    Args:
        source: The file; weights are looked for in its own folder, under plain names, and nowhere
            else.
        most_bytes: Of what is made.

    Raises:
        UploadRejected: It is no ONNX file, or a file of weights is not there, is a link, lies
            elsewhere, or is not as the model says.
    """
    onnx = onnx_package()
    model = _parse(onnx, source)
    total = source.stat().st_size
    for tensor in _external(model):
        place = {entry.key: entry.value for entry in tensor.external_data}
        name = f"{source.name}: the weights `{tensor.name[:100]}`"
        beside = _beside(source.parent, place.get("location", ""), name)
        start, length = _section(beside, place, name)
        wanted = _byte_count(onnx, tensor)
        if wanted is not None and length != wanted:
            raise UploadRejected(
                f"{name} take {wanted} bytes, and {beside.name} has {length} for them: it is of "
                "another model, or was cut off. Copy or export the two together."
            )
        total += length
        if total > most_bytes:
            raise UploadRejected(
                f"{source.name} with its weights has more than {most_bytes} bytes: at most so many "
                "are read."
            )
        tensor.raw_data = _read(beside, start, length, name)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    return bytes(model.SerializeToString())


def with_metadata(content: bytes, key: str, value: str) -> bytes:
    """An ONNX file that has one more entry of metadata, in the place of any of the same key.

    Raises:
        UploadRejected: It is no ONNX file.
    """
    try:
        model = onnx_package().ModelProto.FromString(content)
    except Exception as error:  # protobuf's own
        raise UploadRejected(f"The model is not a sound ONNX file: {_first_line(error)}") from error
    kept = [each for each in model.metadata_props if each.key != key]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = key, value
    return bytes(model.SerializeToString())


def onnx_package() -> Any:
    """The package `onnx`, which only builds need; raises UploadRejected where it is missing."""
    try:
        import onnx
    except ImportError as error:
        raise UploadRejected(
            "The package `onnx` is not installed here, and an ONNX file needs it to be checked: "
            "build the version where it is."
        ) from error
    return onnx


def inlined(model: Any) -> Any:
    """A ModelProto whose own functions are written out."""
    if not model.functions:
        return model
    onnx_package()
    from onnx import inliner

    return inliner.inline_local_functions(model)


def _parse(onnx: Any, source: Path) -> Any:
    try:
        model = onnx.ModelProto.FromString(source.read_bytes())
    except Exception as error:  # protobuf's own
        raise UploadRejected(
            f"The model is not a sound ONNX file: {_first_line(error)}. It is a file of another "
            "kind, or its end is missing, as after a download or a copy that did not finish."
        ) from error
    if not _is_text(model):
        raise UploadRejected(
            "The model is not a sound ONNX file: a name in it is no text in UTF-8. Fetch or export "
            "it again: it was damaged on its way."
        )
    return model


def _is_text(message: Any) -> bool:
    """Whether all texts in a message are texts: protobuf hands on as bytes what is not UTF-8."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            values = [value] if isinstance(value, str | bytes) else value
            if any(isinstance(each, bytes) for each in values):
                return False
        elif field.type == field.TYPE_MESSAGE:
            values = [value] if hasattr(value, "ListFields") else value
            if not all(map(_is_text, values)):
                return False
    return True


def _external(model: Any) -> Iterator[Any]:
    for tensor in _tensors(model):
        if tensor.data_location == tensor.EXTERNAL:
            yield tensor


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a protobuf message: weights, constants, and those of subgraphs."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if field.is_repeated else [value]:
            if item.DESCRIPTOR.name == "TensorProto":
                yield item
            else:
                yield from _tensors(item)


def _files(tensors: list[Any]) -> str:
    """Which files tensors name, in a sentence."""
    named = {
        entry.value[:100]
        for tensor in tensors
        for entry in tensor.external_data
        if entry.key == "location"
    }
    shown = ", ".join(repr(name) for name in sorted(named)[:SHOWN_FILES])
    more = f" and {len(named) - SHOWN_FILES} more" if len(named) > SHOWN_FILES else ""
    return f"They are in {shown}{more}." if named else "It does not say in which."


def _beside(folder: Path, location: str, name: str) -> Path:
    """The file of weights, which lies beside the model and nowhere else."""
    if location in ("", ".", "..") or any(sign in location for sign in "/\\:\0"):
        raise UploadRejected(
            f"{name} are kept in {location[:200]!r}: only a file beside the model is read. Export "
            "it with `external_data=False`, or save it again with its weights beside it."
        )
    return folder / location


def _section(file: Path, place: Mapping[str, str], name: str) -> tuple[int, int]:
    """Where in a file weights begin, and their bytes."""
    try:
        status = file.lstat()
    except (OSError, ValueError) as error:
        raise UploadRejected(
            f"{name} are kept in {file.name}, which cannot be read beside it "
            f"({getattr(error, 'strerror', None) or error}): copy both files, or export it with "
            "`external_data=False`."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise UploadRejected(f"{name}: {file.name} is a link or no file. Put the file itself here.")
    try:
        start = int(place.get("offset") or 0)
        length = int(place.get("length") or status.st_size - start)
    except ValueError as error:
        raise UploadRejected(f"{name}: their place in {file.name} is no number.") from error
    if start < 0 or length < 0 or start + length > status.st_size:
        raise UploadRejected(
            f"{name} are said to be at {start} to {start + length} of {file.name}, which has "
            f"{status.st_size} bytes: it was cut off, or is of another model. Copy or export the "
            "two together."
        )
    return start, length


def _byte_count(onnx: Any, tensor: Any) -> int | None:
    """How many bytes a tensor takes; None for types of less than a byte, which are packed."""
    kinds = onnx.TensorProto.DataType
    if tensor.data_type not in kinds.values() or min(tensor.dims, default=0) < 0:
        raise UploadRejected(f"The weights `{tensor.name[:100]}` are of no known type or shape.")
    kind = str(kinds.Name(tensor.data_type))
    if kind in PACKED:
        return None
    if kind in ("UNDEFINED", "STRING"):
        raise UploadRejected(f"The weights `{tensor.name[:100]}` are no numbers, but {kind}.")
    item_bytes = int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    return item_bytes * math.prod(int(size) for size in tensor.dims)


def _read(file: Path, start: int, length: int, name: str) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as opened:
            opened.seek(start)
            return opened.read(length)
    except OSError as error:
        raise UploadRejected(f"{name}: {file.name} cannot be read: {error.strerror}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
