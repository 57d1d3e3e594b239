"""JSON, parsed strictly: UTF-8, no NaN, no infinities, no numbers beyond float64."""

import contextlib
import json
import math
from typing import Any, NoReturn

from policy_server.contract.decoding import LONG_BYTES
from policy_server.errors import Fault, ObservationError


def parse_json(body: bytes) -> Any:
    """Parse the JSON of a body.

    Raises:
        ObservationError: It is empty, not JSON, not UTF-8, nested too deeply, or holds a number
            that JSON does not have.
    """
    if not body.strip():
        _refuse("the body is empty.")
    try:
        return _load(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        _refuse(f"not UTF-8 at byte {error.start}.")
    except json.JSONDecodeError as error:
        _refuse(f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}.")


def load_start(body: bytes) -> None:
    """Parse how a long body begins; raises as `parse_json` does, but not for where it was cut."""
    with contextlib.suppress(json.JSONDecodeError):
        _load(body[:LONG_BYTES].decode("utf-8", "ignore"))


def _load(text: str) -> Any:
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
    except RecursionError:
        _refuse("nested too deeply.")


def _refuse(detail: str) -> NoReturn:
    raise ObservationError("The body cannot be read.", [Fault("", detail)])


def _refuse_constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a number of JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        _refuse(f"the number {text[:40]} is too large.")
    return number


def _integer(text: str) -> int:
    _finite(text)
    return int(text)
