"""Types of records, made from a schema: what the compiled decoder decodes observations to.

A record is one decoded observation: a struct whose attributes `f0`, `f1`, ... are the fields in the
schema's order, so that whatever a field is called never becomes code.
"""

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policy_server.contract.schema import Field, ObservationSchema

Record: TypeAlias = msgspec.Struct
PYTHON_TYPES = {"integer": int, "number": float, "boolean": bool, "string": str}
LOWEST_INTEGER, HIGHEST_INTEGER = -(2**63), 2**63 - 1


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
        (f"f{index}", value_type(field) | UnsetType, UNSET)
        for index, field in enumerate(schema.fields.values())
    ]
    return _struct(schema, fields)


def value_type(field: Field) -> Any:
    """The type of one value."""
    if field.enum:
        return Literal[field.enum]
    if field.items is not None:
        sizes = Meta(min_length=field.min_items or None, max_length=field.max_items)
        return Annotated[list[value_type(field.items)], sizes]  # type: ignore[misc]
    type_ = PYTHON_TYPES[field.type]
    lowest, highest = field.lowest, field.highest
    if field.type == "integer":
        lowest = int(max(LOWEST_INTEGER, LOWEST_INTEGER if lowest is None else lowest))
        highest = int(min(HIGHEST_INTEGER, HIGHEST_INTEGER if highest is None else highest))
    if lowest is None and highest is None:
        return type_
    return Annotated[type_, Meta(ge=lowest, le=highest)]


def copied(items: list[Any]) -> list[Any]:
    """A copy of an array, of the arrays in it too."""
    return [copied(item) for item in items] if items and type(items[0]) is list else items[:]


def _struct(schema: ObservationSchema, fields: list[Any]) -> type[Record]:
    renamed = {f"f{index}": name for index, name in enumerate(schema.fields)}
    return msgspec.defstruct(
        "Observation", fields, kw_only=True, forbid_unknown_fields=True, rename=renamed, gc=False
    )


def _typed(field: Field, required: bool) -> tuple[Any, ...]:
    type_ = value_type(field)
    if required:
        return (type_,)
    if field.default is None:
        return type_ | UnsetType, UNSET
    default = field.default
    if isinstance(default, list):
        return type_, msgspec.field(default_factory=lambda: copied(default))
    return type_, float(default) if field.type == "number" else default
