"""Predictions and distributions, as the server answers them, in one shape for every kind."""

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """What the policy decided.

    Attributes:
        actions: One for each head, or for each dimension of a continuous action.
        meanings: What each stands for; empty where actions are continuous.
        probability: Of the actions together; None where actions are continuous.
        density: Of the actions together, may exceed 1; None where they are discrete, or not drawn.
    """

    actions: tuple[float, ...]
    meanings: tuple[str, ...]
    probability: float | None
    density: float | None

    @property
    def certainty(self) -> float | None:
        """Its probability, or its density; None where the policy draws nothing."""
        return self.density if self.probability is None else self.probability

    @property
    def discrete(self) -> bool:
        """Actions are numbered."""
        return self.probability is not None

    def agrees_with(self, other: "Decision") -> bool:
        """The same actions, of the same meanings."""
        return self.actions == other.actions and self.meanings == other.meanings

    @property
    def words(self) -> str:
        """The decision in words."""
        if self.meanings:
            return " and ".join(self.meanings)
        return ", ".join(number(action) for action in self.actions)


@dataclass(frozen=True)
class Head:
    """The distribution over one component of a discrete action."""

    actions: tuple[int, ...]
    meanings: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Dimension:
    """The distribution over one dimension of a continuous action."""

    mean: float
    standard_deviation: float

    def density(self, action: float) -> float:
        """Of one value."""
        spread = max(self.standard_deviation, 1e-12)
        return math.exp(-(((action - self.mean) / spread) ** 2) / 2) / (
            spread * math.sqrt(2 * math.pi)
        )


def read_decision(prediction: Json) -> Decision:
    """Read one Prediction."""
    actions = prediction.get("actions")
    meanings = prediction.get("meanings")
    if actions is None:
        actions = [prediction["action"]]
        meanings = [prediction["meaning"]] if "meaning" in prediction else None
    return Decision(
        tuple(actions),
        tuple(meanings or ()),
        prediction.get("probability"),
        prediction.get("density"),
    )


def read_distribution(distribution: Json) -> tuple[list[Head], list[Dimension]]:
    """Read one Distribution: its heads, or its dimensions where actions are continuous."""
    heads = [
        Head(tuple(head["actions"]), tuple(head["meanings"]), tuple(head["probabilities"]))
        for head in distribution.get("heads", ())
    ]
    dimensions = [
        Dimension(each["mean"], each["standard_deviation"])
        for each in distribution.get("dimensions", ())
    ]
    return heads, dimensions


def number(value: float) -> str:
    """A number as people read it."""
    return f"{value:.4g}"


def percent(share: float) -> str:
    """A share as people read it; what is almost nothing, or almost all, says so."""
    if 0 < share < 0.001:
        return "below 0.1 %"
    if 0.999 < share < 1:
        return "above 99.9 %"
    return f"{share * 100:.1f} %"
