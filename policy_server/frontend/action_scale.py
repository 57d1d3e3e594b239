"""Real numbers of an action as the schema declares them: their unit, their bounds, what is clipped.

Answers about distributions hold the network's numbers, predictions the declared values beside them.
From some of these follows how one becomes the other.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.fields.field import Scalar
from policy_server.frontend.answers import Decision, number, percent

USUAL_RANGES = ((-1.0, 1.0), (0.0, 1.0))
NEAR = 1e-6


@dataclass(frozen=True)
class Scale:
    """How the value of a dimension follows from the network's number, before it is clipped.

    Attributes:
        name: Of the dimension.
        unit: Of its values; empty where the schema has none.
        low: Values below are clipped to it; None where there is no such bound.
        high: Values above are clipped to it.
        factor: By which a number is multiplied.
        offset: What is added then.
    """

    name: str
    unit: str
    low: float | None
    high: float | None
    factor: float = 1.0
    offset: float = 0.0

    @property
    def title(self) -> str:
        """Of an axis."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def spelt(self, value: float) -> str:
        """A value with its unit."""
        return f"{number(value)} {self.unit}".rstrip()

    def value(self, number: float) -> float:
        """What a number stands for, before it is clipped."""
        return self.offset + self.factor * number

    def clipped(self, value: float) -> float:
        """A value within the bounds."""
        above = value if self.low is None else max(self.low, value)
        return above if self.high is None else min(self.high, above)

    def beyond(self, mean: float, deviation: float) -> list[str]:
        """How much of a normal distribution of values is clipped, in words."""
        said = []
        for bound, side in ((self.low, -1), (self.high, 1)):
            if bound is None or not deviation:
                continue
            share = math.erfc(side * (bound - mean) / (deviation * math.sqrt(2))) / 2
            if share >= NEAR:
                said.append(f"{percent(share)} of what is drawn is clipped to {self.spelt(bound)}")
        return said


def scales_of(
    actions: DeclaredActions | None, decisions: Sequence[Decision]
) -> tuple[Scale | None, ...]:
    """The scale of each component; None for heads, and where decisions do not tell.

    Args:
        actions: As they are declared.
        decisions: Of one version.
    """
    if actions is None:
        return ()
    values = [values_of(each) for each in decisions]
    found = []
    for index, (place, unit, field) in enumerate(_scalars(actions)):
        pairs = {
            (float(decision.actions[index]), float(value[index]))
            for decision, value in zip(decisions, values, strict=True)
            if field.stepless
        }
        found.append(_scale(Scale(place, unit, *field.bounds), pairs))
    return tuple(found)


def declared_scales(actions: DeclaredActions | None) -> tuple[Scale | None, ...]:
    """Unit and bounds of each component, for decisions whose numbers are values already."""
    if actions is None:
        return ()
    return tuple(
        Scale(place, unit, *field.bounds) if field.stepless else None
        for place, unit, field in _scalars(actions)
    )


def as_applied(decision: Decision) -> Decision:
    """A decision whose real numbers are the declared values, where there are such."""
    values = values_of(decision)
    if not values:
        return decision
    triples = zip(decision.are_whole, decision.actions, values, strict=True)
    actions = tuple(action if whole else float(value) for whole, action, value in triples)
    return replace(decision, actions=actions)


def values_of(decision: Decision) -> list[Any]:
    """The declared values of a decision, one for each component."""
    return [*_flat([*decision.values.values()])]


def applied(decision: Decision, scales: Sequence[Scale | None]) -> list[float]:
    """The actions of a decision, in declared values where a scale is known."""
    if len(scales) != len(decision.actions):
        return [*decision.actions]
    return [
        action if scale is None else scale.clipped(scale.value(action))
        for action, scale in zip(decision.actions, scales, strict=True)
    ]


def clippings(decision: Decision, scales: Sequence[Scale | None]) -> list[str]:
    """What of a decision was clipped, in sentences."""
    said = []
    for action, scale in zip(decision.actions, scales, strict=False):
        if scale is None:
            continue
        value = scale.value(action)
        kept = scale.clipped(value)
        if abs(kept - value) > NEAR * max(1.0, abs(value)):
            said.append(f"{scale.name}: {scale.spelt(value)} is clipped to {scale.spelt(kept)}.")
    return said


def units_of(actions: DeclaredActions | None) -> dict[str, str]:
    """The unit of each field of an action that has one."""
    if actions is None:
        return {}
    units = {name: field.unit or field.leaf.unit for name, field in actions.fields.items()}
    return {name: unit for name, unit in units.items() if unit}


def _scalars(actions: DeclaredActions) -> Iterator[tuple[str, str, Scalar]]:
    for name, field in actions.fields.items():
        for place, scalar in field.scalars(name):
            yield place, scalar.unit or field.unit or "", scalar


def _flat(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        else:
            yield value


def _scale(plain: Scale, pairs: set[tuple[float, float]]) -> Scale | None:
    """A scale that makes the values of the numbers, all of them pairs of one dimension."""
    inside = sorted(pair for pair in pairs if pair[1] not in (plain.low, plain.high))
    if not inside:
        return None
    candidates = [plain, *(_of_range(plain, each) for each in USUAL_RANGES)]
    (first, start), (last, end) = inside[0], inside[-1]
    if last - first > NEAR:
        factor = (end - start) / (last - first)
        candidates.append(_changed(plain, factor, start - factor * first))
    for scale in candidates:
        if all(
            math.isclose(scale.clipped(scale.value(action)), value, rel_tol=NEAR, abs_tol=NEAR)
            for action, value in pairs
        ):
            return scale
    return None


def _of_range(plain: Scale, ends: tuple[float, float]) -> Scale:
    if plain.low is None or plain.high is None:
        return plain
    factor = (plain.high - plain.low) / (ends[1] - ends[0])
    return _changed(plain, factor, plain.low - factor * ends[0])


def _changed(plain: Scale, factor: float, offset: float) -> Scale:
    return Scale(plain.name, plain.unit, plain.low, plain.high, factor, offset)
