"""What every family of distributions can do, and what several share.

Shapes: B batch, W distribution inputs, H heads or dimensions, A actions of a head.
Everything is computed in float64: a mask of -3.4e38 then shifts and exponentiates without overflow.
"""

from collections.abc import Callable, Sequence
from math import inf, isnan
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Actions = NDArray[np.int64] | NDArray[np.float64]
Draw = Callable[[], float]
"""Gives the next random number, uniform or normal; None stands for the most probable action."""
Source = Literal["uniform", "normal", "none"]
"""What kind of random numbers a draw takes."""

MASKED = -1e38
"""Logits below mask an action: where -inf is meant, frameworks write -3.4e38, float32's end."""


class NotFinite(ValueError):
    """Distribution inputs from which no distribution follows."""


class Family(Protocol):
    """A family of distributions over actions; a network's output selects one of them.

    Attributes:
        head_sizes: Actions of each head; empty where actions are real numbers, or not counted.
    """

    head_sizes: tuple[int, ...]

    @property
    def numbered(self) -> bool:
        """Actions are numbers of actions; otherwise they are real numbers."""

    @property
    def source(self) -> Source:
        """The random numbers that one draw takes."""

    @property
    def dimensions(self) -> int:
        """H, how many numbers make one action."""

    @property
    def input_width(self) -> int:
        """W, how many distribution inputs make one distribution."""

    def check(self, inputs: Array) -> None:
        """Raise NotFinite if a row of float64[B, W] makes no distribution."""

    def sample(self, inputs: Array, rng: np.random.Generator) -> Actions:
        """Draw [B, H] actions; row by row from `rng`, so that a batch begins like its first."""

    def mode(self, inputs: Array) -> Actions:
        """The most probable [B, H] actions."""

    def decide(
        self, row: Sequence[float], draw: Draw | None
    ) -> tuple[Sequence[int] | Sequence[float], float | None]:
        """Decide on one row of W inputs in plain Python: NumPy's calls would cost more.

        The same formulas as for a batch; tests hold the two together.

        Args:
            row: The distribution inputs.
            draw: Gives random numbers; None takes the most probable action.

        Returns:
            The action, and its joint probability or density; None where it has none.

        Raises:
            NotFinite: No distribution follows from the inputs.
        """

    def log_probability(self, inputs: Array, actions: Actions) -> Array | None:
        """Joint log probability or density, float64[B], of [B, H] actions; None without one."""

    def entropy(self, inputs: Array) -> Array | None:
        """Joint entropy in nats, float64[B]; None where it has none."""

    def recorded(self, quantity: str, inputs: Array) -> Array | None:
        """What golden cases may record of it: `probabilities`, `means`, `standard_deviations`.

        Returns:
            float64[B, K]; None where this family has no such quantity.
        """

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        """By how much actions fall short of the most probable ones, float64[B, H].

        0 for the most probable action and for one as probable; infinite for one that cannot be.
        """


class Numbered(Family, Protocol):
    """A family of numbered actions."""

    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        """For each head the actions that it weighs, and their probabilities float64[B, A].

        The actions are int64[B, A], or int64[A] where each row weighs the same ones.
        """


class Real(Family, Protocol):
    """A family of actions that are real numbers."""

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations, float64[B, H] each."""


def relative_differences(expected: Array, found: Array) -> Array:
    """How far numbers lie apart, relative where what is expected exceeds 1; 0 for two masks."""
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    same = (expected == found) | ((expected < MASKED) & (found < MASKED))
    return np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))


def best_of(scores: Sequence[float], what: str) -> float:
    """The largest of a row's scores; raises NotFinite where that says nothing."""
    best = max(scores)
    if not best < inf or any(map(isnan, scores)):
        raise NotFinite(f"a {what} is NaN or +inf")
    if best <= MASKED:
        raise NotFinite("every action is masked")
    return best


def check_scores(heads: Sequence[Array], what: str) -> None:
    """Raise NotFinite unless each row of each float64[B, A] has an action to take."""
    for head in heads:
        # The largest tells of NaN and +inf too; -inf masks an action.
        best = head.max(axis=1)
        if not (best < np.inf).all():
            raise NotFinite(f"a {what} is NaN or +inf")
        if (best <= MASKED).any():
            raise NotFinite("every action is masked")


def shortfall_of_scores(heads: Sequence[Array], actions: Array) -> Array:
    """By how much the scores of actions fall short of the best of their heads, float64[B, H]."""
    columns = []
    for head, chosen in zip(heads, actions.T, strict=True):
        possible = (chosen >= 0) & (chosen < head.shape[1]) & (chosen == np.floor(chosen))
        index = np.where(possible, chosen, 0).astype(np.int64)
        short = relative_differences(head.max(axis=1), head[np.arange(len(head)), index])
        columns.append(np.where(possible, short, np.inf))
    return np.stack(columns, axis=1)
