"""A compiled decoder of observations: msgspec types made from the schema, never by hand.

It accepts exactly what the contract's JSON schema accepts. A record is one decoded observation: a
struct whose attributes `f0`, `f1`, ... are the fields in the schema's order, so that whatever a
field is called never becomes code.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policy_server.contract.pieces import TooMany, Uncut, pieces
from policy_server.contract.schema import Field, Observation, ObservationSchema

Record: TypeAlias = msgspec.Struct
PYTHON_TYPES = {"integer": int, "number": float, "boolean": bool, "string": str}
MAX_BATCH_ITEMS = 10_000
"""As the contract's template says."""
MAX_RAW_ITEMS = 1_000_000
"""As the contract's template says."""
LONG_BYTES = 65_536
"""Longer JSON is read in pieces, away from the event loop."""
REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError, TooMany)
"""What the decoder raises, of whatever is not as it should be."""
LOWEST_INTEGER, HIGHEST_INTEGER = -(2**63), 2**63 - 1


class RawObservation(msgspec.Struct, forbid_unknown_fields=True):
    """The network's own input vector, as /predict_raw takes it."""

    obs: Annotated[list[float], Meta(max_length=MAX_RAW_ITEMS)]


class Decoder:
    """Decodes and validates observations of one schema.

    A field that is not sent takes its default; one without a default is `UNSET`.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        self.record_type = _record_type(schema)
        at_most = Meta(max_length=MAX_BATCH_ITEMS)
        batch_type = msgspec.defstruct(
            "ObservationBatch",
            [("observations", Annotated[list[self.record_type], at_most])],  # type: ignore[name-defined]
            forbid_unknown_fields=True,
        )
        self._names = tuple(schema.fields)
        self._arrays = [name for name, field in schema.fields.items() if field.items is not None]
        self._decode = msgspec.json.Decoder(self.record_type).decode
        self._decode_rows = msgspec.json.Decoder(list[self.record_type]).decode  # type: ignore[name-defined]
        self._most_commas = _most_commas(schema)
        self._decode_raw = msgspec.json.Decoder(RawObservation).decode
        self._decode_batch = msgspec.json.Decoder(batch_type).decode
        self._always_whole = all(
            name in schema.required or field.default is not None
            for name, field in schema.fields.items()
        )

    def decode(self, body: bytes) -> Record:
        """Decode the JSON of one observation.

        Raises:
            msgspec.MsgspecError: It is not one.
            TooMany: Long JSON has more values than an observation that says each field once.
        """
        if len(body) > LONG_BYTES:
            self._check_commas(body, 1)
        return self._decode(body)

    def decode_batch(self, body: bytes) -> list[Record]:
        """Decode `{"observations": [...]}`; raises like `decode`, and TooMany."""
        if len(body) > LONG_BYTES:
            with contextlib.suppress(Uncut):
                return self._decode_long_batch(body)
            if body.count(b"{") > MAX_BATCH_ITEMS + 1:
                raise TooMany
        records: list[Record] = self._decode_batch(body).observations  # type: ignore[attr-defined]
        return records

    def decode_raw(self, body: bytes) -> list[float]:
        """Decode `{"obs": [...]}`; raises like `decode`, and TooMany."""
        if body.count(b",") >= MAX_RAW_ITEMS:
            raise TooMany
        return self._decode_raw(body).obs

    def _decode_long_batch(self, body: bytes) -> list[Record]:
        records: list[Record] = []
        for rows in pieces(body, MAX_BATCH_ITEMS):
            records += self.decode_rows(rows)
        return records

    def decode_rows(self, rows: Sequence[bytes]) -> list[Record]:
        """Decode observations that were cut out of a batch; raises like `decode`."""
        text = b"[%s]" % b",".join(rows)
        if len(text) > LONG_BYTES:
            self._check_commas(text, len(rows))
        records: list[Record] = self._decode_rows(text)
        return records

    def convert(self, observation: object) -> Record:
        """Make a record of an observation that was parsed elsewhere; raises like `decode`."""
        return msgspec.convert(observation, self.record_type)

    def to_dict(self, record: Record) -> Observation:
        """The observation as uploaded code gets it: in the schema's order, absent fields absent.

        All of it is the caller's: what they change, the record does not see.
        """
        pairs = zip(self._names, msgspec.structs.astuple(record), strict=True)
        if self._always_whole:
            observation = dict(pairs)
        else:
            observation = {name: value for name, value in pairs if value is not UNSET}
        for name in self._arrays:
            if name in observation:
                observation[name] = _copied(observation[name])
        return observation

    def _check_commas(self, text: bytes, rows: int) -> None:
        if self._most_commas is not None and text.count(b",") > rows * self._most_commas:
            raise TooMany


def _copied(items: list[Any]) -> list[Any]:
    return [_copied(item) for item in items] if items and type(items[0]) is list else items[:]


def compile_features(schema: ObservationSchema) -> Callable[[Record], tuple[float, ...]]:
    """Compile what turns a record into features by the schema alone.

    Arrays are flattened, booleans are 0 and 1, enum strings are one-hot, an absent field is 0
    throughout. The code is made of positions only; names and values are looked up.

    Args:
        schema: All of its fields must have a feature width.
    """
    tables: dict[str, Any] = {"UNSET": UNSET}
    terms = [
        _optional(_terms(f"o.f{index}", field, tables), f"o.f{index}", field, name, schema)
        for index, (name, field) in enumerate(schema.fields.items())
    ]
    code = f"lambda o: ({''.join(f'{term}, ' for term in terms)})"
    compiled: Callable[[Record], tuple[float, ...]] = eval(code, tables)
    return compiled


def _record_type(schema: ObservationSchema) -> type[Record]:
    # Fields without a default must come first, unless all are given by keyword.
    fields = [
        (f"f{index}", *_typed(field, name in schema.required))
        for index, (name, field) in enumerate(schema.fields.items())
    ]
    renamed = {f"f{index}": name for index, name in enumerate(schema.fields)}
    return msgspec.defstruct(
        "Observation", fields, kw_only=True, forbid_unknown_fields=True, rename=renamed, gc=False
    )


def _most_commas(schema: ObservationSchema) -> int | None:
    commas = 0
    for name, field in schema.fields.items():
        inside = _commas(field)
        if inside is None:
            return None
        commas += inside + name.count(",") + 1
    return commas


def _commas(field: Field) -> int | None:
    """The most commas in the JSON of one value; None where there may be any number."""
    if field.items is not None:
        inside = _commas(field.items)
        if inside is None or field.max_items is None:
            return None
        return field.max_items * (inside + 1)
    if field.type == "string":
        return max(json.dumps(value).count(",") for value in field.enum) if field.enum else None
    return 0


def _typed(field: Field, required: bool) -> tuple[Any, ...]:
    type_ = _type(field)
    if required:
        return (type_,)
    if field.default is None:
        return type_ | UnsetType, UNSET
    default = field.default
    if isinstance(default, list):
        return type_, msgspec.field(default_factory=lambda: _copied(default))
    return type_, float(default) if field.type == "number" else default


def _type(field: Field) -> Any:
    if field.enum:
        return Literal[field.enum]
    if field.items is not None:
        sizes = Meta(min_length=field.min_items or None, max_length=field.max_items)
        return Annotated[list[_type(field.items)], sizes]  # type: ignore[misc]
    type_ = PYTHON_TYPES[field.type]
    lowest, highest = field.lowest, field.highest
    if field.type == "integer":
        lowest = int(max(LOWEST_INTEGER, LOWEST_INTEGER if lowest is None else lowest))
        highest = int(min(HIGHEST_INTEGER, HIGHEST_INTEGER if highest is None else highest))
    if lowest is None and highest is None:
        return type_
    return Annotated[type_, Meta(ge=lowest, le=highest)]


def _terms(place: str, field: Field, tables: dict[str, Any]) -> str:
    """Code of the features of one value, `a, b, c`."""
    if field.items is not None:
        return ", ".join(
            _terms(f"{place}[{index}]", field.items, tables) for index in range(field.min_items)
        )
    if field.type == "string":
        table = f"t{len(tables)}"
        tables[table] = {
            value: tuple(float(value == member) for member in field.enum) for value in field.enum
        }
        return f"*{table}[{place}]"
    return place


def _optional(terms: str, place: str, field: Field, name: str, schema: ObservationSchema) -> str:
    if name in schema.required or field.default is not None:
        return terms
    zeros = ", ".join(["0.0"] * (field.feature_width or 0))
    return f"*(({zeros},) if {place} is UNSET else ({terms},))"
