"""What is wrong with a body: all of it, where the body is short; enough of it, where it is long.

Validation by JSON schema takes a hundred times as long as the compiled decoder. So no more than
LONG_BYTES of a body are validated: a long batch shows which of its rows are wrong, and those are
explained until the first are enough; of anything else that is long, the decoder's first fault is
told.
"""

import contextlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from policy_server.contract.decoding import (
    LONG_BYTES,
    MAX_BATCH_ITEMS,
    MAX_RAW_ITEMS,
    REFUSED,
    Decoder,
)
from policy_server.contract.pieces import TooMany, Uncut, pieces
from policy_server.contract.schema import Field
from policy_server.errors import Fault, ObservationError
from policy_server.web.faults import MAX_FAULTS, fault_of, faults_of, pointer
from policy_server.web.json_text import load_start, parse_json

SUMMARY = "The body is not what the contract asks for."
NAME = re.compile(rb'"((?:[^"\\]|\\.)*+)"[ \t\r\n]*+:[ \t\r\n]*+\Z', re.DOTALL)
MOST_NAME_BYTES = 500
MOST_ARRAYS = 1000


def _items(
    validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Items of an array, of one that is too long no more than could be taken."""
    if validator.is_type(instance, "array"):
        for index, item in enumerate(itertools.islice(instance, schema.get("maxItems"))):
            yield from validator.descend(item, wanted, path=index)


BodyValidator = extend(Draft4Validator, {"items": _items})  # type: ignore[no-untyped-call]


def validator_of(schema: Mapping[str, Any]) -> Draft4Validator:
    """What validates a body, or a part of one, by its schema."""
    validator: Draft4Validator = BodyValidator(
        schema, format_checker=Draft4Validator.FORMAT_CHECKER
    )
    return validator


class Explainer:
    """Explains bodies that the decoder of a contract refused.

    Args:
        decoder: Refused them.
        fields: Of an observation.
    """

    def __init__(self, decoder: Decoder, fields: Mapping[str, Field]) -> None:
        self._decoder = decoder
        self._fields = fields

    def long_observation(self, body: bytes, refusal: Exception) -> list[Fault]:
        """What is wrong with one observation that is long.

        Args:
            body: Of the request.
            refusal: What the decoder raised.
        """
        load_start(body)
        return self._too_many(body) if isinstance(refusal, TooMany) else [fault_of(refusal)]

    def long_batch(
        self, body: bytes, refusal: Exception, row_schema: Mapping[str, Any]
    ) -> list[Fault]:
        """What is wrong with a long batch, row by row."""
        load_start(body)
        faults: list[Fault] = []
        left, index = LONG_BYTES, 0
        validator = validator_of(row_schema)
        try:
            for rows in pieces(body, MAX_BATCH_ITEMS):
                for row, why in self._refused(rows):
                    place = f"/observations/{index + row}"
                    left -= len(rows[row])
                    found = self._row_faults(rows[row], why, validator if left >= 0 else None)
                    faults += [Fault(place + fault.place, fault.detail) for fault in found]
                    if len(faults) >= MAX_FAULTS or left < 0:
                        return faults[:MAX_FAULTS]
                index += len(rows)
        except TooMany:
            return [too_many_items("/observations", MAX_BATCH_ITEMS)]
        except Uncut:
            pass
        return faults or [_first(refusal, "/observations")]

    def long_raw(self, body: bytes, refusal: Exception) -> list[Fault]:
        """What is wrong with a long input vector."""
        load_start(body)
        for name, count in _flat_arrays(body):
            if name == "obs" and count > MAX_RAW_ITEMS:
                return [too_many_items("/obs", MAX_RAW_ITEMS, count)]
        return [_first(refusal, "/obs")]

    def _refused(self, rows: Sequence[bytes]) -> Iterator[tuple[int, Exception]]:
        """Which of these rows the decoder refuses, and why."""
        try:
            self._decoder.decode_rows(rows)
        except REFUSED:
            for index, row in enumerate(rows):
                try:
                    self._decoder.decode(row)
                except REFUSED as error:
                    yield index, error

    def _row_faults(
        self, row: bytes, refusal: Exception, validator: Draft4Validator | None
    ) -> list[Fault]:
        try:
            if validator is None:
                return self.long_observation(row, refusal)
            faults = faults_of(validator.iter_errors(parse_json(row)))
        except ObservationError as error:
            return list(error.faults)
        return faults or [fault_of(refusal)]

    def _too_many(self, body: bytes) -> list[Fault]:
        """Which array is too long."""
        for name, count in itertools.islice(_flat_arrays(body), MOST_ARRAYS):
            field = self._fields.get(name)
            if field is None:
                return [Fault(pointer([name]), "is not a field of the schema.")]
            if field.max_items is not None and count > field.max_items:
                return [too_many_items(pointer([name]), field.max_items, count)]
        try:  # the start of it may show more
            self._decoder.decode(body[:LONG_BYTES])
        except msgspec.ValidationError as error:
            return [fault_of(error)]
        except REFUSED:  # it was cut
            pass
        return [Fault("", "holds more values than an observation of this schema has.")]


def _first(refusal: Exception, place: str) -> Fault:
    if isinstance(refusal, TooMany):
        return Fault(place, "has more items than are taken.")
    return fault_of(refusal)


def _flat_arrays(body: bytes) -> Iterator[tuple[str, int]]:
    """Names and lengths of the first arrays of numbers, found by their brackets alone."""
    start, end = body.find(b"["), -1
    for _ in range(MOST_ARRAYS):
        if end < start:
            end = body.find(b"]", start)
        if start < 0 or end < 0:
            return
        name = NAME.search(body[max(start - MOST_NAME_BYTES, 0) : start])
        inner = body.find(b"[", start + 1)
        if name and not start < inner < end and b'"' not in (inside := body[start:end]):
            with contextlib.suppress(ValueError):
                yield json.loads(b'"%s"' % name[1]), inside.count(b",") + 1
        start = inner


def too_many_items(place: str, most: int, count: int | None = None) -> Fault:
    """The fault of an array that is too long; None leaves open by how much."""
    return Fault(place, f"must have {most} items or fewer, not {count or 'more'}.")
