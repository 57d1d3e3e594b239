"""What a release of clients changes for programs that use them, and what breaks these."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from policy_server.contract.history import SchemaHistory
from policy_server.contract.releases import Release
from policy_server.contract.schema import ObservationSchema

LOWER = ("minimum", "minItems", "minLength")
UPPER = ("maximum", "maxItems", "maxLength")
EXCLUSIVE = ("exclusiveMinimum", "exclusiveMaximum")


class Note(NamedTuple):
    """One change.

    Attributes:
        text: A sentence, of Markdown.
        breaks: Programs that were right may have to be changed.
    """

    text: str
    breaks: bool = False


def release_notes(schemas: SchemaHistory, before: Release | None, after: Release) -> list[Note]:
    """What one release changed of the one before."""
    if before is None:
        return [Note("The first schema that this service knows of.")]
    notes: list[Note] = []
    if before.space and before.actions != after.actions:
        notes.append(Note(f"Actions are {after.actions} now; they were {before.actions}.", True))
    elif before.space and before.space != after.space:
        notes.append(Note("The actions that the schema declares have changed.", True))
    if before.schema == after.schema:
        return notes
    old, new = schemas.find(before.schema), schemas.find(after.schema)
    if old is None or new is None:
        notes.append(Note("The schema changed; what it was is not known any more.", True))
        return notes
    return notes + list(_changes(old, new))


def _changes(old: ObservationSchema, new: ObservationSchema) -> Iterator[Note]:
    gone = [name for name in old.fields if name not in new.fields]
    added = [name for name in new.fields if name not in old.fields]
    renamed = _renamed(old, new, gone, added)
    for name, now in renamed.items():
        yield Note(f"`{name}` is called `{now}` now.", True)
    for name in gone:
        if name not in renamed:
            yield Note(f"`{name}` is no longer a field.", True)
    for name in added:
        if name not in renamed.values():
            must = name in new.required
            said = "must be sent" if must else "may be left out"
            yield Note(f"`{name}` is new, and {said}: {new.fields[name].in_words()}.", must)
    kept = [name for name in new.fields if name in old.fields]
    for name in kept:
        yield from _changes_of(name, old, new)
    if [name for name in old.fields if name in new.fields] != kept:
        yield Note("Fields are in another order, which clients need not know.")


def _changes_of(name: str, old: ObservationSchema, new: ObservationSchema) -> Iterator[Note]:
    before, after = old.fields[name], new.fields[name]
    if before.meaning() != after.meaning():
        words = f"`{name}` is {after.in_words()} now; it was {before.in_words()}."
        yield Note(words, not _takes_all(before.meaning(), after.meaning()))
    if (name in new.required) != (name in old.required):
        must = name in new.required
        yield Note(f"`{name}` {'must be sent' if must else 'may be left out'} now.", must)


def _renamed(
    old: ObservationSchema, new: ObservationSchema, gone: list[str], added: list[str]
) -> dict[str, str]:
    """Fields that went and came alike, where there is one of the kind: old name -> new name."""

    def alike(name: str) -> list[str]:
        return [
            other
            for other in added
            if old.fields[name].meaning() == new.fields[other].meaning()
            and (name in old.required) == (other in new.required)
        ]

    found = {name: alike(name) for name in gone}
    return {
        name: others[0]
        for name, others in found.items()
        if len(others) == 1 and sum(others[0] in each for each in found.values()) == 1
    }


def _takes_all(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether every value that was taken is taken still, and means the same."""
    bounds = {*LOWER, *UPPER, *EXCLUSIVE, "enum", "items"}
    if any(before.get(key) != after.get(key) for key in {*before, *after} - bounds):
        return False
    lower = all(after[key] <= before.get(key, float("-inf")) for key in LOWER if key in after)
    upper = all(after[key] >= before.get(key, float("inf")) for key in UPPER if key in after)
    ends = all(_keeps_end(key, before, after) for key in EXCLUSIVE)
    values = "enum" not in after or set(before.get("enum", [None])) <= set(after["enum"])
    items = _takes_all(before["items"], after["items"]) if "items" in before else True
    return lower and upper and ends and values and items


def _keeps_end(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an end that was a value is one still: `minimum` with `exclusiveMinimum`."""
    bound = "minimum" if key == "exclusiveMinimum" else "maximum"
    moved = before.get(bound) != after.get(bound)
    return not after.get(key) or bool(before.get(key)) or moved
