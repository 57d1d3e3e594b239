"""The numbers of an action, and what they mean, for programs that know no families."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from policy_server.contract.actions import ActionSpace
from policy_server.errors import VersionConflict
from policy_server.policy.families.terms import Rule, Term
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper


@dataclass(frozen=True)
class Scale:
    """From a number to the declared value: `low + (number - start) * factor`."""

    start: float
    factor: float
    low: float


@dataclass(frozen=True)
class ActionNumber:
    """One number of an action.

    Attributes:
        name: `steer`, `wheels[2]`; `action` where the schema declares none.
        rule: How it follows from some of the network's outputs.
        outputs: Places of these, counted from 0.
        meanings: Of its numbers, in order; empty for a dimension.
        scale: To its value; None where that is the number itself.
        minimum: The value is at least this; None where it has no bound.
        maximum: The value is at most this; None where it has no bound.
        unit: Of the value.
        description: Of the value.
    """

    name: str
    rule: Rule
    outputs: tuple[int, ...]
    meanings: tuple[str, ...] = ()
    scale: Scale | None = None
    minimum: float | None = None
    maximum: float | None = None
    unit: str | None = None
    description: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What it has."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}


def action_of(actions: ActionSpace, network: Network, mapper: OutputMapper) -> list[ActionNumber]:
    """The numbers of an action.

    Args:
        actions: What the contract promises.
        network: Of the version.
        mapper: What action numbers mean.

    Raises:
        VersionConflict: The family is a plug-in that does not say how its actions follow.
    """
    terms = network.distribution.mode_terms()
    if terms is None:
        raise VersionConflict(
            f"How an action follows from the outputs of the family `{network.family}`, that does "
            "not say in rules (`mode_terms`), so other programs cannot know it."
        )
    meanings = _meanings(network, mapper, len(terms))
    if actions.declared is None:
        names = ["action"] if len(terms) == 1 and not actions.tuple else []
        names = names or [f"actions[{index}]" for index in range(len(terms))]
        numbers = zip(names, terms, meanings, strict=True)
        return [ActionNumber(name, term.rule, term.places, each) for name, term, each in numbers]
    declared = zip(actions.declared.components, terms, meanings, strict=True)
    return [_declared(network, *each) for each in declared]


def _declared(network: Network, component: Any, term: Term, meanings: tuple[str, ...]) -> Any:
    """A number that the schema declares; a head's has meanings, a dimension's bounds."""
    field = component.field
    about = {"unit": field.unit, "description": field.description}
    named = (component.place, term.rule, term.places, meanings)
    if component.choices is not None:
        return ActionNumber(*named, **about)
    low, high = component.bounds
    scale, ends = None, network.action_range or network.distribution.action_range
    if ends is not None and low is not None and high is not None:
        start, end = ends
        scale = Scale(start, (high - low) / (end - start), low)
    return ActionNumber(*named, scale, low, high, **about)


def _meanings(network: Network, mapper: OutputMapper, count: int) -> list[tuple[str, ...]]:
    """The meanings of each number's values; none where numbers speak for themselves."""
    heads = iter(mapper.meanings)
    sizes = network.distribution.action_sizes or (1,) * count
    return [tuple(_in_order(next(heads, {}))) if size else () for size in sizes]


def _in_order(meanings: dict[int, str]) -> Iterator[str]:
    return (meanings.get(number, "") for number in range(max(meanings, default=-1) + 1))
