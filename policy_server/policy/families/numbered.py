"""What families of numbered actions share: their answers, their golden cases, their scores."""

from abc import abstractmethod
from collections.abc import Sequence
from math import inf, isnan
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.families.family import (
    MASKED,
    Actions,
    Answer,
    Array,
    Family,
    NotFinite,
)
from policy_server.policy.families.recognition import Output
from policy_server.policy.output_mapper import OutputMapper


class NumberedFamily(Family):
    """A family of numbered actions, one number for each head.

    Args:
        sizes: Actions of each head, in order; heads may be of unequal size.
    """

    kind = Kind.NUMBERED
    likelihood = "probability"

    @property
    def head_sizes(self) -> tuple[int, ...]:
        """Actions of each head; empty where they are not counted."""
        return self.sizes

    @property
    def action_sizes(self) -> tuple[int, ...]:
        return self.head_sizes

    @property
    def dimensions(self) -> int:
        return len(self.sizes)

    @abstractmethod
    def weighed(self, inputs: Array) -> list[tuple[NDArray[np.int64], Array]]:
        """For each head the actions that it weighs, and their probabilities float64[B, A].

        The actions are int64[B, A], or int64[A] where each row weighs the same ones.
        """

    forbidden: ClassVar[float] = -np.inf
    """What the network's number for an action becomes where a mask forbids it."""

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        return np.where(allowed, inputs, np.float32(self.forbidden))

    def wording(self, as_tuple: bool, output_mapper: OutputMapper) -> "NumberedWording":
        return NumberedWording(self, as_tuple, output_mapper)

    def meaning_faults(self, output_mapper: OutputMapper) -> list[str]:
        return output_mapper.faults(self.head_sizes or [None] * self.dimensions)

    def recorded(
        self, quantity: str, inputs: Array, output_mapper: OutputMapper
    ) -> NDArray[Any] | None:
        if quantity == "probabilities":
            return np.concatenate([shares for _, shares in self.weighed(inputs)], axis=1)
        if quantity != "meanings":
            return super().recorded(quantity, inputs, output_mapper)
        modes = self.mode(inputs).astype(np.int64).tolist()
        rows = [[output_mapper.meaning(*each) for each in enumerate(row)] for row in modes]
        return np.array(rows, dtype=object)

    def can_take(self, actions: Array) -> bool:
        sizes = np.array(self.head_sizes or [np.inf])
        return bool(((actions == np.floor(actions)) & (actions >= 0) & (actions < sizes)).all())

    def shortfall_words(self, expected: float, found: float, shortfall: float) -> str:
        return f", which is more probable by {shortfall:.3g}."

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return output.width > 1

    @classmethod
    def check_policy(cls, output: Output) -> None:
        if output.width == 1 and not output.integer:
            raise UploadRejected(
                f"The network puts out one number for each observation (`{output.name}`): it is a "
                "value network (critic), which says how good a situation is, not what to do. "
                "Upload the network of the policy (actor). If it is the number of the action, say "
                "so in model.yaml: `reads: actions`."
            )


class NumberedWording:
    """Answers of action numbers, each with its meaning.

    Args:
        family: Decides.
        as_tuple: The contract speaks of several components.
        output_mapper: What action numbers mean.
    """

    def __init__(self, family: NumberedFamily, as_tuple: bool, output_mapper: OutputMapper) -> None:
        self._family = family
        self._as_tuple = as_tuple
        self._meanings = _meanings(family, output_mapper)
        self._of_first = self._meanings[0]
        self.one = self._several if as_tuple else self._single

    def batch(self, actions: Actions, logs: Array | None) -> list[Answer]:
        assert logs is not None
        pairs = zip(actions.tolist(), np.exp(logs).tolist(), strict=True)
        if self._as_tuple:
            return [self._several(*pair) for pair in pairs]
        meanings = self._of_first
        return [
            {"action": action, "meaning": meanings[action], "probability": probability}
            for (action,), probability in pairs
        ]

    def distributions(self, inputs: Array) -> list[Answer]:
        heads = [
            [
                {"actions": numbers, "meanings": meanings, "probabilities": row}
                for (numbers, meanings), row in zip(
                    self._worded(head, actions, len(inputs)), probabilities.tolist(), strict=True
                )
            ]
            for head, (actions, probabilities) in enumerate(self._family.weighed(inputs))
        ]
        return [{"heads": list(row)} for row in zip(*heads, strict=True)]

    def _single(self, actions: Sequence[int], probability: float) -> Answer:
        action = actions[0]
        return {"action": action, "meaning": self._of_first[action], "probability": probability}

    def _several(self, actions: Sequence[int], probability: float) -> Answer:
        pairs = zip(self._meanings, actions, strict=True)
        meanings = [of_head[action] for of_head, action in pairs]
        return {"actions": actions, "meanings": meanings, "probability": probability}

    def _worded(
        self, head: int, actions: NDArray[np.int64], rows: int
    ) -> Sequence[tuple[list[int], list[str]]]:
        """The actions that each row weighs, and their meanings; shared where all weigh the same."""
        meanings = self._meanings[head]
        if actions.ndim == 1:
            numbers = actions.tolist()
            return [(numbers, [meanings[number] for number in numbers])] * rows
        return [(row, [meanings[number] for number in row]) for row in actions.tolist()]


class _AnyAction:
    """The meanings of a head of which nobody knows how many actions it has."""

    def __init__(self, head: int, output_mapper: OutputMapper) -> None:
        self._head = head
        self._mapper = output_mapper

    def __getitem__(self, action: int) -> str:
        try:
            return self._mapper.meaning(self._head, action)
        except KeyError:
            raise EngineFailed(
                f"the network took action {action}, and neither the output mapper nor the "
                "schema's actions know it"
            ) from None


def _meanings(
    family: NumberedFamily, output_mapper: OutputMapper
) -> Sequence[Sequence[str] | _AnyAction]:
    """For each head the meaning of each action."""
    return [
        [output_mapper.meaning(head, action) for action in range(size)]
        for head, size in enumerate(family.head_sizes)
    ] or [_AnyAction(head, output_mapper) for head in range(family.dimensions)]


def all_actions(probabilities: Array) -> tuple[NDArray[np.int64], Array]:
    """The numbers of all actions, int64[A], beside their probabilities float64[B, A]."""
    return np.arange(probabilities.shape[1]), probabilities


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
