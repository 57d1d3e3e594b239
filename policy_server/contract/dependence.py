"""Fields that depend on others: where one of these is moved, they cannot stay as they are."""

from collections.abc import Collection, Mapping

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


def dependents(fields: Mapping[str, Field], names: Collection[str]) -> list[str]:
    """The fields that depend on some of these, by way of others too, in the schema's order."""
    found: set[str] = set()
    while True:
        reached = {*names, *found}
        more = {name for name, field in fields.items() if reached & {*field.depends_on}} - found
        if not more:
            return [name for name in fields if name in found]
        found |= more
