"""The number of a distribution over actions that is explained."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from policy_server.contract.schema import Observation

Json: TypeAlias = dict[str, Any]
Weigh: TypeAlias = Callable[[Sequence[Observation]], Sequence[Json]]
"""Asks a policy for its Distribution over actions on each of some observations."""


@dataclass(frozen=True)
class Quantity:
    """One number of a Distribution.

    Attributes:
        component: Which head, or which dimension.
        action: Whose probability it is; None for the mean of a dimension.
        words: What it is called.
    """

    component: int
    action: int | None
    words: str

    @property
    def is_share(self) -> bool:
        """It is a probability."""
        return self.action is not None

    def of(self, distribution: Json) -> float:
        """Its value; no probability where masks leave the action out."""
        if self.action is None:
            return float(distribution["dimensions"][self.component]["mean"])
        return _probabilities(distribution, self.component).get(self.action, 0.0)

    def decided(self, distribution: Json) -> float:
        """What the policy does without chance: number of the most probable action, or the mean."""
        if self.action is None:
            return self.of(distribution)
        shares = _probabilities(distribution, self.component)
        return max(shares, key=lambda action: (shares[action], -action))

    def decided_words(self, distribution: Json) -> str:
        """The same in words."""
        decided = self.decided(distribution)
        if self.action is None:
            return f"{decided:.4g}"
        head = distribution["heads"][self.component]
        return str(head["meanings"][head["actions"].index(decided)])

    def spelt(self, value: float) -> str:
        """A value as people read it."""
        return f"{100 * value:.1f} %" if self.is_share else f"{value:.4g}"

    def spelt_change(self, value: float) -> str:
        """How much it has changed, with its sign."""
        return f"{100 * value:+.1f} points" if self.is_share else f"{value:+.4g}"


def quantities_of(distribution: Json) -> list[Quantity]:
    """What can be explained of a decision: each head's most probable action, each mean."""
    found = []
    heads, dimensions = distribution.get("heads", ()), distribution.get("dimensions", ())
    for index, head in enumerate(heads):
        shares = _probabilities(distribution, index)
        action = max(shares, key=lambda each: (shares[each], -each))
        meaning = head["meanings"][head["actions"].index(action)]
        which = f" (head {index + 1})" if len(heads) > 1 else ""
        found.append(Quantity(index, action, f"probability of {meaning}{which}"))
    for index in range(len(dimensions)):
        which = f" of dimension {index + 1}" if len(dimensions) > 1 else ""
        found.append(Quantity(index, None, f"mean{which} of the action"))
    return found


def in_pieces(weigh: Weigh, room: int) -> Weigh:
    """The same, asked for so many observations at once."""

    def asked(observations: Sequence[Observation]) -> list[Json]:
        return [
            answer
            for first in range(0, len(observations), room)
            for answer in weigh(observations[first : first + room])
        ]

    return asked


def _probabilities(distribution: Json, head: int) -> dict[int, float]:
    found = distribution["heads"][head]
    return dict(zip(found["actions"], found["probabilities"], strict=True))
