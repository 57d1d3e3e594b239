"""Predictions, as the server answers them, in one shape for every kind of action."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]
LIKELIHOODS = ("probability", "density")


@dataclass(frozen=True)
class Decision:
    """What the policy decided.

    Attributes:
        actions: One for each head, or for each dimension.
        meanings: What each stands for; empty where actions are real numbers.
        likelihood: What the answer calls the certainty: a probability, or a density, which may
            exceed 1; None where the policy draws nothing.
        certainty: Of the actions together.
        values: The action as the schema declares it; empty where it declares none.
    """

    actions: tuple[float, ...]
    meanings: tuple[str, ...]
    likelihood: str | None
    certainty: float | None
    values: Json = field(default_factory=dict)

    def agrees_with(self, other: "Decision") -> bool:
        """The same actions, of the same meanings."""
        return self.actions == other.actions and self.meanings == other.meanings

    @property
    def are_whole(self) -> tuple[bool, ...]:
        """Which of the actions are numbers of actions: whole numbers as JSON writes them."""
        return tuple(isinstance(action, int) for action in self.actions)

    def distance_to(self, other: "Decision") -> float:
        """How far apart two actions lie; a numbered one that is another counts 1."""
        pairs = zip(self.are_whole, self.actions, other.actions, strict=True)
        return sum(float(one != two) if whole else abs(one - two) for whole, one, two in pairs)

    @property
    def words(self) -> str:
        """The decision in words."""
        return self.worded({})

    def worded(self, units: Mapping[str, str]) -> str:
        """The decision in words, its values with units by their names."""
        if self.values:
            return ", ".join(
                f"{name} {spelt(value)} {units.get(name, '')}".rstrip()
                for name, value in self.values.items()
            )
        if self.meanings:
            return " and ".join(self.meanings)
        return self.numbers

    @property
    def numbers(self) -> str:
        """The actions as the network has them."""
        return ", ".join(map(number, self.actions))


def read_decision(prediction: Json) -> Decision:
    """Read one Prediction."""
    actions = prediction.get("actions")
    meanings = prediction.get("meanings")
    if actions is None:
        actions = [prediction["action"]]
        meanings = [prediction["meaning"]] if "meaning" in prediction else None
    likelihood = next((name for name in LIKELIHOODS if name in prediction), None)
    certainty = None if likelihood is None else prediction[likelihood]
    values = prediction.get("values", {})
    return Decision(tuple(actions), tuple(meanings or ()), likelihood, certainty, values)


def spelt(value: Any) -> str:
    """A value of an action as people read it."""
    if isinstance(value, list):
        return f"[{', '.join(map(spelt, value))}]"
    return number(value) if isinstance(value, float) else str(value)


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
