"""What is wrong with a body: all of it, where the body is short; enough of it, where it is long.

Validation by JSON schema takes a hundred times as long as the compiled decoder. So no more than
LONG_BYTES of a body are validated: a long batch shows which of its rows are wrong, and those are
explained until the first are enough; of anything else that is long, the decoder's first fault is
told.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jsonschema import Draft4Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from policy_server.contract.decoding import LONG_BYTES, REFUSED, Decoder
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.registry import TYPES
from policy_server.contract.operations import MAX_BATCH_ITEMS, Body
from policy_server.contract.pieces import TooMany, Uncut, pieces
from policy_server.contract.step_decoding import StepDecoder
from policy_server.errors import Fault, ObservationError
from policy_server.web.faults import MAX_FAULTS, fault_of, faults_of
from policy_server.web.json_text import load_start, parse_json

SUMMARY = "The body is not what the contract asks for."


def _items(
    validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Items of an array, of one that is too long no more than could be taken."""
    if validator.is_type(instance, "array"):
        for index, item in enumerate(itertools.islice(instance, schema.get("maxItems"))):
            yield from validator.descend(item, wanted, path=index)


def _type(
    validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """Types, where null may stand for a value that is not sent."""
    if instance is not None or not schema.get("x-nullable"):
        yield from Draft4Validator.VALIDATORS["type"](validator, wanted, instance, schema)


def _encoding(
    validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The text of an array; that it is a text, `type` says."""
    if validator.is_type(instance, "string"):
        fault = EncodedArray.of_schema_object(schema, TYPES).unservable(instance)
        if fault is not None:
            yield ValidationError(fault)


BodyValidator = extend(Draft4Validator, {"items": _items, "type": _type, "x-encoding": _encoding})  # type: ignore[no-untyped-call]


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
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def shortened(self, body: bytes, kind: Body) -> bytes:
        """A long body of steps without the memories; as it is, where it is something else."""
        if not kind.is_step or len(body) <= LONG_BYTES:
            return body
        try:
            decoder = StepDecoder(self._decoder)
            return decoder.without_memories(body, batch=kind is Body.STEPS)
        except REFUSED:
            return body

    def long_one(self, body: bytes, refusal: Exception) -> list[Fault]:
        """What is wrong with one observation, or one input vector, that is long.

        Args:
            body: Of the request.
            refusal: What the decoder raised.
        """
        load_start(body)
        return [fault_of(refusal)]

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
            most = f"must have {MAX_BATCH_ITEMS} items or fewer, not more."
            return [Fault("/observations", most)]
        except Uncut:
            pass
        return faults or [fault_of(refusal)]

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
                return self.long_one(row, refusal)
            faults = faults_of(validator.iter_errors(parse_json(row)))
        except ObservationError as error:
            return list(error.faults)
        return faults or [fault_of(refusal)]
