"""Actions that are numbered and real numbers together, as those of a tuple of both."""

from collections.abc import Sequence
from itertools import groupby
from math import exp, isfinite, log
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.families.family import Actions, Answer, Array, Draw, Family, NotFinite
from policy_server.policy.families.normal import NormalDimensions
from policy_server.policy.families.numbered import NumberedWording, shortfall_of_scores
from policy_server.policy.families.real import MAX_LOG_DENSITY, batch_of, dimensions, several
from policy_server.policy.families.recognition import DISTRIBUTION_INPUTS, Output, Reading, Stated
from policy_server.policy.families.softmax import SoftmaxHeads
from policy_server.policy.families.terms import Rule, Term, Terms
from policy_server.policy.output_mapper import OutputMapper

LEAST_UNIFORM = 2.0**-54
"""Stands for 0, which has no normal quantile."""
_quantile = NormalDist().inv_cdf
_quantiles = np.vectorize(_quantile, otypes=[np.float64])


class Mixed(Family):
    """Independent heads and dimensions in any order.

    Args:
        sizes: Actions of a head, 0 for a dimension. The inputs hold, component after component, the
            logits of a head; and of dimensions that follow each other, which are one component,
            their means and then their log standard deviations. So RLlib lays out tuples.
    """

    name = "mixed"
    kind = Kind.MIXED
    likelihood = "density"
    readings = (
        Reading(
            "mean_log_std",
            "logits of heads, mean and log standard deviation of dimensions",
            "component after component: a logit for each action of a head; means, then log "
            "standard deviations of dimensions",
            names=DISTRIBUTION_INPUTS,
        ),
    )
    source = "uniform"
    numbers_each = 2
    """How many numbers a dimension takes."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self._logits: list[int] = []
        self._reals: list[int] = []
        runs: list[int] = []
        start = 0
        for is_head, group in groupby(self.sizes, bool):
            run = list(group)
            width = sum(run) if is_head else self.numbers_each * len(run)
            (self._logits if is_head else self._reals).extend(range(start, start + width))
            runs += [] if is_head else [len(run)]
            start += width
        self._width = start
        self.heads = SoftmaxHeads([size for size in self.sizes if size])
        self._of_heads = [place for place, size in enumerate(self.sizes) if size]
        self._of_dimensions = [place for place, size in enumerate(self.sizes) if not size]
        self._normal = NormalDimensions(runs)

    @property
    def dimensions(self) -> int:
        return len(self.sizes)

    @property
    def action_sizes(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def input_width(self) -> int:
        return self._width

    def check(self, inputs: Array) -> None:
        self.heads.check(self.split(inputs)[0])
        self.check_reals(self.split(inputs)[1])

    def sample(self, inputs: Array, rng: np.random.Generator) -> Actions:
        uniforms = rng.random((len(inputs), self.dimensions))
        count = len(self._of_heads)
        logits, reals = self.split(inputs)
        chosen = self.heads.chosen(logits, uniforms[:, :count])
        return self._together(chosen, self.drawn(reals, uniforms[:, count:]))

    def mode(self, inputs: Array) -> Actions:
        logits, reals = self.split(inputs)
        return self._together(self.heads.mode(logits), self.moments(reals)[0])

    def mode_terms(self) -> Terms:
        heads, means = iter(self.heads.mode_terms()), iter(self.mean_places())
        return tuple(
            Term(Rule.LARGEST, tuple(self._logits[place] for place in next(heads).places))
            if size
            else Term(Rule.NUMBER, (self._reals[next(means)],))
            for size in self.sizes
        )

    def decide(
        self, row: Sequence[float], draw: Draw | None
    ) -> tuple[list[int | float], float | None]:
        chosen, probability = self.heads.decide([row[place] for place in self._logits], draw)
        reals, log_density = self.decide_reals([row[place] for place in self._reals], draw)
        actions: list[int | float] = [0] * len(self.sizes)
        for place, number in zip(self._of_heads, chosen, strict=True):
            actions[place] = number
        for place, real in zip(self._of_dimensions, reals, strict=True):
            actions[place] = real
        if log_density is None:
            return actions, None
        return actions, exp(min(log(probability) + log_density, MAX_LOG_DENSITY))

    def log_probability(self, inputs: Array, actions: Actions) -> Array | None:
        logits, reals = self.split(inputs)
        numbers = np.asarray(actions, np.float64)
        logs = self.heads.log_probability(logits, numbers[:, self._of_heads])
        return logs + self._normal.log_probability(reals, numbers[:, self._of_dimensions])

    def entropy(self, inputs: Array) -> Array | None:
        logits, reals = self.split(inputs)
        of_reals = self._normal.entropy(reals)
        return None if of_reals is None else self.heads.entropy(logits) + of_reals

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        kept = inputs.copy()
        kept[:, self._logits] = self.heads.forbid(inputs[:, self._logits], allowed, sizes)
        return kept

    def wording(self, as_tuple: bool, output_mapper: OutputMapper) -> "MixedWording":
        return MixedWording(self, output_mapper)

    def meaning_faults(self, output_mapper: OutputMapper) -> None:
        return None

    # The real numbers, float64[B, R] of the inputs, which other families of mixed actions read
    # in another way.

    def split(self, inputs: Array) -> tuple[Array, Array]:
        """The logits of all heads, and the numbers of all dimensions."""
        return inputs[:, self._logits], inputs[:, self._reals]

    def check_reals(self, reals: Array) -> None:
        """Raise NotFinite where they make no distribution."""
        self._normal.check(reals)

    def drawn(self, reals: Array, uniforms: Array) -> Array:
        """The actions that uniform numbers choose."""
        return self._normal.moved(reals, _quantiles(np.maximum(uniforms, LEAST_UNIFORM)))

    def decide_reals(
        self, row: Sequence[float], draw: Draw | None
    ) -> tuple[Sequence[float], float | None]:
        """As `decide`, with the logarithm of the density."""
        normal = None if draw is None else lambda: _quantile(max(draw(), LEAST_UNIFORM))
        return self._normal.decide_in_logs(row, normal)

    def moments(self, reals: Array) -> tuple[Array, Array]:
        """Means and standard deviations of the dimensions, float64[B, D] each."""
        return self._normal.moments(reals)

    def mean_places(self) -> Sequence[int]:
        """Where the means of the dimensions stand among R."""
        return [mean for mean, _ in self._normal.pairs]

    def _together(self, numbers: NDArray[np.int64], reals: Array) -> NDArray[np.object_]:
        actions = np.empty((len(numbers), len(self.sizes)), dtype=object)
        actions[:, self._of_heads] = numbers
        actions[:, self._of_dimensions] = reals
        return actions

    # Golden cases.

    def recorded(
        self, quantity: str, inputs: Array, output_mapper: OutputMapper
    ) -> NDArray[Any] | None:
        logits, reals = self.split(inputs)
        if quantity == "probabilities":
            return np.concatenate(self.heads.head_probabilities(logits), axis=1)
        if quantity in ("means", "standard_deviations"):
            return self.moments(reals)[quantity == "standard_deviations"]
        found = super().recorded(quantity, inputs, output_mapper)
        return None if found is None else np.asarray(found, np.float64)

    def can_take(self, actions: Array) -> bool:
        return self.heads.can_take(actions[:, self._of_heads])

    def shortfall(self, inputs: Array, actions: Array) -> Array:
        logits, reals = self.split(inputs)
        short = np.empty(actions.shape)
        shares = self.heads.head_probabilities(logits)
        short[:, self._of_heads] = shortfall_of_scores(shares, actions[:, self._of_heads])
        expected = actions[:, self._of_dimensions]
        short[:, self._of_dimensions] = relative_differences(expected, self.moments(reals)[0])
        return short

    # Recognition.

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return not output.integer

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        return cls(sizes).input_width == width

    @classmethod
    def check_policy(cls, output: Output) -> None:
        """Raise nothing: how many numbers there must be, the declared actions say."""

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        raise UploadRejected("Mixed actions are declared in the schema, as `actions`.")

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        return Stated(None, heads)


class MixedMeans(Mixed):
    """Heads that are drawn, beside dimensions that the network itself puts out; these are not."""

    name = "mixed_means"
    readings = (
        Reading(
            "means",
            "logits of heads, means of dimensions",
            "component after component: a logit for each action of a head; the number of a "
            "dimension, which is the action, always",
        ),
    )
    numbers_each = 1

    def check_reals(self, reals: Array) -> None:
        if not np.isfinite(reals).all():
            raise NotFinite("a number of the action is not finite")

    def drawn(self, reals: Array, uniforms: Array) -> Array:
        return reals

    def decide_reals(
        self, row: Sequence[float], draw: Draw | None
    ) -> tuple[Sequence[float], float | None]:
        if not all(map(isfinite, row)):
            raise NotFinite("a number of the action is not finite")
        return row, None

    def log_probability(self, inputs: Array, actions: Actions) -> None:
        return None

    def entropy(self, inputs: Array) -> None:
        return None

    def moments(self, reals: Array) -> tuple[Array, Array]:
        return reals, np.zeros_like(reals)

    def mean_places(self) -> Sequence[int]:
        return range(len(self._reals))


class MixedWording:
    """Answers of numbered and real numbers together.

    Args:
        family: Decides.
        output_mapper: What the numbers of its heads mean.
    """

    def __init__(self, family: Mixed, output_mapper: OutputMapper) -> None:
        self._family = family
        self._heads = NumberedWording(family.heads, True, output_mapper)
        self.one = several

    def batch(self, actions: Actions, logs: Array | None) -> list[Answer]:
        return batch_of(self.one, actions, logs)

    def distributions(self, inputs: Array) -> list[Answer]:
        logits, reals = self._family.split(inputs)
        pairs = zip(
            self._heads.distributions(logits),
            dimensions(*self._family.moments(reals)),
            strict=True,
        )
        return [{**heads, "dimensions": each} for heads, each in pairs]
