"""Fields that depend on others: where one of these is moved, they cannot stay as they are."""

from collections.abc import Collection, Mapping, Sequence

from policy_server.contract.fields.field import Field
from policy_server.contract.fields.keywords import Keywords

KEYWORD = "depends_on"


def check_dependence(given: Keywords) -> None:
    """Note a fault where the keyword is no list of names."""
    names = given.value(KEYWORD)
    if KEYWORD not in given:
        return
    if not isinstance(names, list) or not names or not all(isinstance(each, str) for each in names):
        fault = f"`{KEYWORD}` of `{given.name}` is a list of fields: `[position, map]`."
        given.fault(KEYWORD, fault)


def dependence_faults(fields: Mapping[str, Field]) -> dict[str, str]:
    """What is wrong with what the fields of an observation depend on, by their names."""
    faults = {}
    for name, field in fields.items():
        unknown = [each for each in field.depends_on if each not in fields]
        if unknown:
            faults[name] = f"`{name}` depends on `{unknown[0]}`, which is no field."
        elif name in dependents(fields, [name]):
            faults[name] = f"`{name}` depends on itself: say what follows from what, one way."
    return faults


def action_dependence_faults(fields: Mapping[str, Field]) -> list[str]:
    """A fault for each action that depends on something: the policy decides these."""
    return [
        f"`{KEYWORD}` of the action `{name}` goes with observations only."
        for name, field in fields.items()
        if field.depends_on
    ]


def related_to(fields: Mapping[str, Field], name: str) -> set[str]:
    """A field, what it depends on, what depends on these, and so on: what is possible together."""
    found, new = set[str](), {name}
    while new:
        found |= new
        causes = {cause for each in new for cause in fields[each].depends_on}
        effects = {each for each, field in fields.items() if new & {*field.depends_on}}
        new = (causes | effects) - found
    return found


def groups_of(fields: Mapping[str, Field], names: Sequence[str]) -> list[list[str]]:
    """Some fields, those that depend on one another together, what follows after its causes.

    Args:
        fields: Of the schema.
        names: The fields, in the order that groups and fields keep otherwise.
    """
    groups, left = [], [*names]
    while left:
        related = related_to(fields, left[0])
        groups.append(_causes_first(fields, [each for each in left if each in related]))
        left = [each for each in left if each not in related]
    return groups


def _causes_first(fields: Mapping[str, Field], names: Sequence[str]) -> list[str]:
    causes = {name: {*fields[name].depends_on} & {*names} for name in names}
    placed: list[str] = []

    def place(name: str) -> None:
        placed.append(name)
        for each in names:
            if each not in placed and name in causes[each] and causes[each] <= {*placed}:
                place(each)

    for name in names:
        if not causes[name]:
            place(name)
    return placed


def dependents(fields: Mapping[str, Field], names: Collection[str]) -> list[str]:
    """The fields that depend on some of these, by way of others too, in the schema's order."""
    found: set[str] = set()
    while True:
        reached = {*names, *found}
        more = {name for name, field in fields.items() if reached & {*field.depends_on}} - found
        if not more:
            return [name for name in fields if name in found]
        found |= more
