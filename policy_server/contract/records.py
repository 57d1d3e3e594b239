"""Types of records, made from a schema: what the compiled decoder decodes observations to.

A record is one decoded observation: a struct whose attributes `f0`, `f1`, ... are the fields in the
schema's order, so that whatever a field is called never becomes code.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from policy_server.contract.fields.decoded import Decoded, decode_text
from policy_server.contract.fields.field import Field
from policy_server.contract.schema import ObservationSchema

Record: TypeAlias = msgspec.Struct


def record_type(schema: ObservationSchema) -> type[Record]:
    """The type of a schema's records."""
    # Fields without a default must come first, unless all are given by keyword.
    fields = [
        (f"f{index}", *_typed(field, name in schema.required))
        for index, (name, field) in enumerate(schema.fields.items())
    ]
    return _struct(schema, fields)


def partial_type(schema: ObservationSchema) -> type[Record]:
    """The same, of which any field may be absent; none has a default."""
    fields = [
        (f"f{index}", field.decoded_type() | UnsetType, UNSET)
        for index, field in enumerate(schema.fields.values())
    ]
    return _struct(schema, fields)


def json_decoder(kind: Any) -> Callable[[bytes], Any]:
    """What decodes JSON to a type that is made of the types of fields."""
    return msgspec.json.Decoder(kind, dec_hook=decode_text).decode


def plain(value: list[Any] | Decoded) -> list[Any]:
    """The lists of an array, however it was sent; the caller's own."""
    return value.tolist() if isinstance(value, Decoded) else copied(value)


def copied(items: list[Any]) -> list[Any]:
    """A copy of an array, of the arrays in it too."""
    return [copied(item) for item in items] if items and type(items[0]) is list else items[:]


def _struct(schema: ObservationSchema, fields: list[Any]) -> type[Record]:
    renamed = {f"f{index}": name for index, name in enumerate(schema.fields)}
    return msgspec.defstruct(
        "Observation", fields, kw_only=True, forbid_unknown_fields=True, rename=renamed, gc=False
    )


def _typed(field: Field, required: bool) -> tuple[Any, ...]:
    type_ = field.decoded_type()
    if required:
        return (type_,)
    default = field.decoded_default()
    if default is None:
        return type_ | UnsetType, UNSET
    if isinstance(default, list):
        return type_, msgspec.field(default_factory=lambda: copied(default))
    return type_, default
