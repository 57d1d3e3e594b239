"""What changed between two schemas, in sentences, each at the JSON pointer of its field."""

from collections.abc import Iterator

from policy_server.contract.pointers import pointer_to
from policy_server.contract.schema import ObservationSchema
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
        yield f"is new, and {must}: {after.in_words()}."
    else:
        if before.meaning() != after.meaning():
            yield f"is now {after.in_words()}; it was {before.in_words()}."
        if (name in new.required) != (name in old.required):
            yield "must be sent now." if name in new.required else "may be left out now."
