"""What changed between two schemas, in sentences, each at the JSON pointer of its field."""

import json
from collections.abc import Iterator, Mapping

from policy_server.contract.pointers import pointer_to
from policy_server.contract.schema import DOCUMENTATION_KEYWORDS, Field, ObservationSchema
from policy_server.errors import Fault


def changes(old: ObservationSchema, new: ObservationSchema) -> list[Fault]:
    """What a client of `old` must know of `new`; documentation does not count."""
    return [
        Fault(pointer_to([name]), sentence)
        for name in {**new.fields, **old.fields}
        for sentence in _sentences(name, old, new)
    ]


def _sentences(name: str, old: ObservationSchema, new: ObservationSchema) -> Iterator[str]:
    before, after = old.fields.get(name), new.fields.get(name)
    if after is None:
        yield "is no longer a field of the schema."
    elif before is None:
        must = "must be sent" if name in new.required else "may be left out"
        yield f"is new, and {must}: {_described(after)}."
    else:
        if _meaning(before) != _meaning(after):
            yield f"is now {_described(after)}; it was {_described(before)}."
        if (name in new.required) != (name in old.required):
            yield "must be sent now." if name in new.required else "may be left out now."


def _described(field: Field) -> str:
    """`an integer from 0 to 10`."""
    if field.items is not None:
        return f"a list of {_size(field)}, each {_described(field.items)}{_default(field)}"
    if field.enum:
        return f"one of {', '.join(map(json.dumps, field.enum))}{_default(field)}"
    article = "an" if field.type == "integer" else "a"
    text = f"{article} {field.type}"
    if field.minimum is not None:
        text += f" {'above' if field.exclusive_minimum else 'from'} {field.minimum}"
    if field.maximum is not None:
        text += f" {'below' if field.exclusive_maximum else 'to'} {field.maximum}"
    return text + _default(field)


def _size(field: Field) -> str:
    if field.min_items == field.max_items:
        return f"{field.min_items} items"
    if field.max_items is None:
        return f"{field.min_items} items or more"
    return f"{field.min_items} to {field.max_items} items"


def _default(field: Field) -> str:
    return f", by default {json.dumps(field.default)}" if field.default is not None else ""


def _meaning(field: Field) -> Mapping[str, object]:
    return _undocumented(field.as_json_schema())


def _undocumented(keywords: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _undocumented(value) if isinstance(value, Mapping) else value
        for name, value in keywords.items()
        if name not in DOCUMENTATION_KEYWORDS
    }
