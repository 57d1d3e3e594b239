"""A compiled decoder of observations: msgspec types made from the schema, never by hand.

It accepts exactly what the contract's JSON schema accepts.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Protocol

import msgspec
import numpy as np
from msgspec import UNSET, Meta
from numpy.typing import NDArray

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.decoded import decode_text
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.registry import TYPES
from policy_server.contract.long_reading import MALFORMED, PART_NUMBERS, LongReader, moved
from policy_server.contract.operations import MAX_BATCH_ITEMS, MAX_RAW_ITEMS
from policy_server.contract.pieces import TooMany, Uncut, pieces
from policy_server.contract.records import Record, json_decoder, plain, record_type
from policy_server.contract.schema import Observation, ObservationSchema

ARRAYS = (Array, EncodedArray)
LONG_BYTES = 65_536
"""Longer JSON is read in pieces, away from the event loop."""
REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError, TooMany)
"""What the decoder raises, of whatever is not as it should be."""


RAW = ObservationSchema(
    {
        "obs": Array(
            items=TYPES["number"](),
            max_items=MAX_RAW_ITEMS,
            description="Features, as many as the network takes",
        )
    },
    frozenset({"obs"}),
)
"""The network's own input vector, as /predict_raw takes it."""


def vector_of(numbers: Sequence[float]) -> NDArray[np.float64]:
    """Numbers as float64[F], some thousands at a time, so that others run in between.

    Integers beyond float64 become infinite.
    """
    vector = np.empty(len(numbers))
    for start in range(0, len(numbers), PART_NUMBERS):
        part = numbers[start : start + PART_NUMBERS]
        vector[start : start + len(part)] = [_as_float(number) for number in part]
    return vector


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


class Decoder:
    """Decodes and validates observations of one schema.

    A field that is not sent takes its default; one without a default is `UNSET`.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        self.record_type = record_type(schema)
        at_most = Meta(max_length=MAX_BATCH_ITEMS)
        batch_type = msgspec.defstruct(
            "ObservationBatch",
            [("observations", Annotated[list[self.record_type], at_most])],  # type: ignore[name-defined]
            forbid_unknown_fields=True,
        )
        self._names = tuple(schema.fields)
        self._arrays = [name for name, field in schema.fields.items() if isinstance(field, ARRAYS)]
        self._decode = json_decoder(self.record_type)
        self._decode_rows = json_decoder(list[self.record_type])  # type: ignore[name-defined]
        self._long, self._long_raw = LongReader(schema), LongReader(RAW)
        self._decode_raw = json_decoder(record_type(RAW))
        self._decode_batch = json_decoder(batch_type)
        self._always_whole = all(map(schema.always_has, schema.fields))

    def decode(self, body: bytes) -> Record:
        """Decode the JSON of one observation.

        Raises:
            msgspec.MsgspecError: It is not one.
        """
        return self._decode(body) if len(body) <= LONG_BYTES else self._long.read(body)

    def decode_batch(self, body: bytes) -> list[Record]:
        """Decode `{"observations": [...]}`; raises like `decode`, and TooMany."""
        if len(body) <= LONG_BYTES:
            short: list[Record] = self._decode_batch(body).observations
            return short
        records: list[Record] = []
        try:
            for rows in pieces(body, MAX_BATCH_ITEMS):
                records += self.decode_rows(rows)
        except Uncut as uncut:
            raise self._batch_fault(body, uncut.place, len(records)) from uncut
        return records

    def decode_raw(self, body: bytes) -> NDArray[np.float64]:
        """Decode `{"obs": [...]}`, to float64[F]; raises like `decode`."""
        record: Any = (
            self._decode_raw(body) if len(body) <= LONG_BYTES else self._long_raw.read(body)
        )
        return vector_of(record.f0)

    def decode_rows(self, rows: Sequence[bytes]) -> list[Record]:
        """Decode observations that were cut out of a batch; raises like `decode`."""
        if any(len(row) > LONG_BYTES for row in rows):
            return [self.decode(row) for row in rows]
        records: list[Record] = self._decode_rows(b"[%s]" % b",".join(rows))
        return records

    def _batch_fault(self, body: bytes, place: int | None, before: int) -> Exception:
        """What is wrong with a long batch that could not be cut on from a place."""
        start = body[:LONG_BYTES] if place is None else b"[" + body[place : place + LONG_BYTES]
        decode = self._decode_batch if place is None else self._decode_rows
        try:
            decode(start)
        except msgspec.ValidationError as error:
            return error if place is None else moved(error, ".observations", before)
        except REFUSED:
            pass
        return msgspec.DecodeError(MALFORMED.format(place or 0))

    def convert(self, observation: object) -> Record:
        """Make a record of an observation that was parsed elsewhere; raises like `decode`."""
        return msgspec.convert(observation, self.record_type, dec_hook=decode_text)

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
                observation[name] = plain(observation[name])
        return observation


class FeatureSource(Protocol):
    """What makes features of the value of a field; a field itself is one."""

    @property
    def feature_width(self) -> int | None:
        """How many there are."""

    @property
    def is_array(self) -> bool:
        """A decoded value has them in an array, `value.array`."""

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        """Python code of them, as `Field` has it."""


def compile_features(
    schema: ObservationSchema, sources: Iterable[tuple[str, FeatureSource]] | None = None
) -> Callable[[Record], tuple[float, ...]]:
    """Compile what turns a record into features.

    Arrays are flattened, booleans are 0 and 1, enum strings are one-hot, an absent field is 0
    throughout. The code is made of positions only; names and values are looked up.

    Args:
        schema: Of the records.
        sources: Names of fields, in the order of the features, each with what makes its features;
            by default all fields but masks, as they are, which must then have a feature width.
    """
    tables: dict[str, Any] = {"UNSET": UNSET}
    places = {name: f"o.f{index}" for index, name in enumerate(schema.fields)}
    terms = [
        _optional(source, places[name], tables, always=schema.always_has(name))
        for name, source in (schema.featured.items() if sources is None else sources)
    ]
    code = f"lambda o: ({''.join(f'{term}, ' for term in terms)})"
    compiled: Callable[[Record], tuple[float, ...]] = eval(code, tables)
    return compiled


def _optional(source: FeatureSource, place: str, tables: dict[str, Any], *, always: bool) -> str:
    terms = source.feature_terms(place, tables)
    if always:
        return terms
    zeros = f"t{len(tables)}"
    tables[zeros] = (0.0,) * (source.feature_width or 0)
    return f"*({zeros} if {place} is UNSET else ({terms},))"
