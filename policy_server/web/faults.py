"""What is wrong with a body, in sentences, each at the JSON pointer of the value it is about."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from jsonschema.exceptions import ValidationError

from policy_server.contract.pointers import pointer_to
from policy_server.errors import Fault

MAX_FAULTS = 100
MAX_SHOWN_CHARACTERS = 60
TYPE_NAMES = {
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
    "array": "a list",
    "object": "an object",
}
SENTENCES: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "type": lambda wanted, _: f"must be {TYPE_NAMES.get(wanted, wanted)}",
    "enum": lambda wanted, _: f"must be one of {', '.join(map(json.dumps, wanted))}",
    "minimum": lambda wanted, schema: (
        f"must be above {wanted}" if schema.get("exclusiveMinimum") else f"must be {wanted} or more"
    ),
    "maximum": lambda wanted, schema: (
        f"must be below {wanted}" if schema.get("exclusiveMaximum") else f"must be {wanted} or less"
    ),
    "minItems": lambda wanted, _: f"must have {wanted} items or more",
    "maxItems": lambda wanted, _: f"must have {wanted} items or fewer",
}
"""What is asked for, by the keyword that was violated."""


def faults_of(errors: Iterable[ValidationError]) -> list[Fault]:
    """The faults behind a validator's errors, each once, at most MAX_FAULTS."""
    faults: dict[Fault, None] = {}
    for error in errors:
        faults |= dict.fromkeys(_faults(error))
        if len(faults) >= MAX_FAULTS:
            break
    return list(faults)[:MAX_FAULTS]


def _faults(error: ValidationError) -> Iterator[Fault]:
    place = pointer_to(error.absolute_path)
    # The attributes of an error that a validator made are always set; its types say otherwise.
    keyword, wanted = str(error.validator), cast(Any, error.validator_value)
    instance, schema = cast(Any, error.instance), cast(Mapping[str, Any], error.schema)
    if keyword == "required":
        for name in wanted:
            if name not in instance:
                yield Fault(f"{place}{pointer_to([name])}", "is missing.")
    elif keyword == "additionalProperties":
        for name in (name for name in instance if name not in schema.get("properties", {})):
            yield Fault(f"{place}{pointer_to([name])}", "is not a field of the schema.")
    elif keyword in SENTENCES:
        sentence = SENTENCES[keyword](wanted, schema)
        yield Fault(place, f"{sentence}, not {_shown(keyword, instance)}.")
    else:
        yield Fault(place, f"{error.message}.")


def _shown(keyword: str, instance: object) -> str:
    if keyword in ("minItems", "maxItems") and isinstance(instance, list):
        return str(len(instance))
    text = json.dumps(instance, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."


PLACE = re.compile(r" - at `\$(.*)`$", re.DOTALL)
STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")
DECODER_TYPES = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
DECODER_SENTENCES: Mapping[re.Pattern[str], Callable[..., str]] = {
    re.compile(r"Expected `([a-z]+)(?: \| null)?`, got `([a-z]+)`"): lambda wanted, got: (
        f"must be {DECODER_TYPES.get(wanted, wanted)}, not {DECODER_TYPES.get(got, got)}"
    ),
    re.compile("Expected `array` of length <= ([0-9]+), not ([0-9]+)"): (
        "must have {} items or fewer, not {}".format
    ),
    re.compile("Expected `array` of length <= ([0-9]+)"): "must have {} items or fewer".format,
    re.compile("Expected `array` of length >= ([0-9]+)"): "must have {} items or more".format,
    re.compile("Array has more items than are taken"): "has more items than are taken".format,
    re.compile("Expected `array` of length ([0-9]+)"): "must have {} items".format,
    re.compile("Expected `(?:int|float)` <= (.*)"): "must be {} or less".format,
    re.compile("Expected `(?:int|float)` >= (.*)"): "must be {} or more".format,
}
"""Sentences of msgspec, and ours."""
DECODER_FIELDS = {
    re.compile("Object missing required field `(.*)`", re.DOTALL): "is missing",
    re.compile("Object contains unknown field `(.*)`", re.DOTALL): "is not a field of the schema",
}


def fault_of(error: Exception) -> Fault:
    """The first fault that the decoder found; one of REFUSED."""
    if isinstance(error, UnicodeError):
        return Fault("", "not UTF-8.")
    if isinstance(error, RecursionError):
        return Fault("", "nested too deeply.")
    place = PLACE.search(str(error))
    steps = [name or index for name, index in STEP.findall(place[1])] if place else []
    text = PLACE.sub("", str(error))
    for pattern, said in DECODER_FIELDS.items():
        if field := pattern.fullmatch(text):
            return Fault(pointer_to([*steps, field[1]]), f"{said}.")
    for pattern, sentence in DECODER_SENTENCES.items():
        if found := pattern.fullmatch(text):
            return Fault(pointer_to(steps), f"{sentence(*found.groups())}.")
    return Fault(pointer_to(steps), f"{text}.")
