"""Observations as named tensors, one for each field, as inference servers take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.decoding import Decoder
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.field import Field
from policy_server.contract.operations import MAX_BATCH_ITEMS
from policy_server.contract.records import Record
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import Fault, ObservationError

DATATYPES: Mapping[str, np.dtype[Any]] = {
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "BOOL": np.dtype("?"),
}
"""The datatypes of the Open Inference Protocol that are numbers, as bytes have them."""
TEXT = "BYTES"
WHOLE = tuple(name for name in DATATYPES if "INT" in name)
REAL = tuple(name for name in DATATYPES if name.startswith("FP"))
TAKEN: Mapping[str, tuple[str, ...]] = {
    "integer": ("INT64", *WHOLE),
    "number": ("FP64", *REAL, *WHOLE),
    "boolean": ("BOOL",),
    "string": (TEXT,),
}
"""The datatypes that fields of a type take; the first is what they are called."""
ENCODED: Mapping[str, tuple[str, ...]] = {"uint8": ("UINT8",), "float32": ("FP32", "FP16")}
"""The same, of fields that JSON has as text, by the type of their bytes."""
FEATURES = "features"
"""The network's own input vectors, instead of the tensors of fields."""
MAX_FAULTS = 100
MOST_TOLD = 20
"""Names in a sentence."""
SUMMARY = "These tensors are no observations."


@dataclass(frozen=True)
class TensorKind:
    """An input or an output.

    Attributes:
        name: Of a field, where it is one's.
        datatype: As the Open Inference Protocol calls it.
        shape: Of all rows; -1 where a size is open, as that of the first axis always is.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """A tensor that was sent, or is answered.

    Attributes:
        name: Of its kind.
        datatype: As the Open Inference Protocol calls it.
        values: Of all rows; BYTES are `str` in an array of objects.
    """

    name: str
    datatype: str
    values: NDArray[Any]


class ObservationTensors:
    """The tensors of a schema's observations.

    Args:
        schema: Of the observations.
        decoder: Of the same.

    Attributes:
        kinds: Of each field, in the schema's order.
    """

    def __init__(self, schema: ObservationSchema, decoder: Decoder) -> None:
        self._schema = schema
        self._decoder = decoder
        self._taken = {name: _taken(field) for name, field in schema.fields.items()}
        self.kinds = tuple(
            TensorKind(name, self._taken[name][0], (-1, *_axes(field)))
            for name, field in schema.fields.items()
        )

    def is_features(self, tensors: Sequence[Tensor]) -> bool:
        """They are input vectors: one tensor of that name, which no field has."""
        names = [each.name for each in tensors]
        return names == [FEATURES] and FEATURES not in self._schema.fields

    def records(self, tensors: Sequence[Tensor]) -> list[Record]:
        """The B observations that tensors stand for; a field without a tensor was not sent.

        Raises:
            ObservationError: They stand for none; every fault of names, types and shapes is told,
                else the first of the values.
        """
        faults = self._faults(tensors)
        if faults:
            raise ObservationError(SUMMARY, faults)
        names = [each.name for each in tensors]
        columns = [_column(self._schema.fields[each.name], each.values) for each in tensors]
        records = []
        for row, values in enumerate(zip(*columns, strict=True)):
            try:
                records.append(self._decoder.convert(dict(zip(names, values, strict=True))))
            except (msgspec.ValidationError, ValueError) as error:
                raise ObservationError(
                    SUMMARY, [Fault("/inputs", f"Row {row}: {error}.")]
                ) from error
        return records

    def _faults(self, tensors: Sequence[Tensor]) -> list[Fault]:
        known = len(self._schema.fields)
        if len(tensors) > known:  # before anything looks at each of them
            return [
                Fault("/inputs", f"{len(tensors)} tensors were sent; there are {known} fields.")
            ]
        names = [each.name for each in tensors]
        missing = [name for name in self._schema.fields if self._lacks(name, names)]
        faults = [Fault("/inputs", f"`{name}` is missing.") for name in missing]
        faults += [Fault("/inputs", text) for each in tensors for text in self._wrong(each, names)]
        rows = {len(each.values) for each in tensors if each.values.ndim}
        if len(rows) > 1:
            faults.append(Fault("/inputs", f"all tensors have as many rows, not {sorted(rows)}."))
        return faults[:MAX_FAULTS] or row_faults(max(rows, default=0))

    def _lacks(self, name: str, names: Sequence[str]) -> bool:
        return name in self._schema.required and name not in names

    def _wrong(self, tensor: Tensor, names: Sequence[str]) -> list[str]:
        """What is wrong with one tensor, in sentences."""
        field = self._schema.fields.get(tensor.name)
        if field is None:
            known = ", ".join(f"`{name}`" for name in islice(self._schema.fields, MOST_TOLD))
            more = ", ..." if len(self._schema.fields) > MOST_TOLD else ""
            return [f"`{tensor.name}` is no field; there are {known}{more}."]
        if names.count(tensor.name) > 1:
            return [f"`{tensor.name}` comes more than once."]
        taken, axes = self._taken[tensor.name], _axes(field)
        if tensor.datatype not in taken:
            others = f" (or {', '.join(dict.fromkeys(taken[1:]))})" if len(taken) > 1 else ""
            return [f"`{tensor.name}` is {taken[0]}{others}, not {tensor.datatype}."]
        shape = tensor.values.shape
        fits = len(shape) == len(axes) + 1 and all(
            size in (-1, given) for size, given in zip(axes, shape[1:], strict=True)
        )
        if not fits and not (axes == (1,) and len(shape) == 1):
            return [f"`{tensor.name}` has the shape {[-1, *axes]}, not {[*shape]}."]
        if tensor.datatype in REAL and not np.isfinite(tensor.values).all():
            return [f"`{tensor.name}` holds numbers that are not finite."]
        return []


def row_faults(rows: int) -> list[Fault]:
    """What is wrong with so many rows."""
    if not rows:
        return [Fault("/inputs", "there are no rows to decide on.")]
    if rows > MAX_BATCH_ITEMS:
        return [Fault("/inputs", f"{rows} rows were sent; {MAX_BATCH_ITEMS} go together at most.")]
    return []


def _taken(field: Field) -> tuple[str, ...]:
    if isinstance(field, EncodedArray):
        return ENCODED[field.dtype]
    return TAKEN[field.leaf.json_type]


def _axes(field: Field) -> tuple[int, ...]:
    """Sizes of one row; -1 where a size is open. A single value is a row of one, as for Triton."""
    return field.axes or (1,)


def _column(field: Field, values: NDArray[Any]) -> list[Any]:
    """The value of each row, as the decoder takes it."""
    if isinstance(field, EncodedArray):
        return [field.taken(row) for row in values]
    if not field.axes:
        values = values.reshape(len(values))
    column: list[Any] = values.tolist()
    return column
