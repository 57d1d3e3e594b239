"""Actions that are real numbers, drawn: a normal distribution for each dimension."""

from collections.abc import Iterator, Sequence
from math import exp, inf

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Actions, Array, Draw, NotFinite
from policy_server.policy.families.real import MAX_LOG_DENSITY, RealFamily
from policy_server.policy.families.recognition import (
    DISTRIBUTION_INPUTS,
    Drawn,
    Output,
    Reading,
    Stated,
    contradicted,
)

LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))
MAX_LOG_STANDARD_DEVIATION = float(np.log(np.finfo(np.float32).max))
SMALLEST_DEVIATION = 2.2250738585072014e-308


class DiagonalGaussian(RealFamily):
    """Independent normal dimensions.

    Args:
        sizes: Dimensions of each component of the action. The inputs hold, component
            after component, its means and then its log standard deviations, as RLlib lays out a
            tuple of boxes; one box is one component.
    """

    name = "gaussian"
    readings = (
        Reading(
            "mean_log_std",
            "mean and log standard deviation",
            "{half} means, then {half} log standard deviations of a Gaussian",
            names=(*DISTRIBUTION_INPUTS, "mean_log_std"),
        ),
    )
    source = "normal"

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        starts = np.cumsum([0, *(2 * size for size in self.sizes)])[:-1]
        pairs = list(zip(starts, self.sizes, strict=True))
        self._means = np.concatenate([start + np.arange(size) for start, size in pairs])
        self._log_stds = np.concatenate([start + size + np.arange(size) for start, size in pairs])

    @property
    def input_width(self) -> int:
        return 2 * sum(self.sizes)

    def check(self, inputs: Array) -> None:
        if not np.isfinite(inputs).all():
            raise NotFinite("a mean or a log standard deviation is not finite")
        if (self._log_standard_deviations(inputs) > MAX_LOG_STANDARD_DEVIATION).any():
            raise NotFinite("a standard deviation is beyond float32")

    def sample(self, inputs: Array, rng: np.random.Generator) -> Array:
        means, standard_deviations = self.moments(inputs)
        draws: Array = means + standard_deviations * rng.standard_normal(means.shape)
        return draws

    def mode(self, inputs: Array) -> Array:
        return inputs[:, self._means]

    def decide(self, row: Sequence[float], draw: Draw | None) -> tuple[list[float], float]:
        actions: list[float] = []
        log_density = 0.0
        start = 0
        for size in self.sizes:
            for index in range(start, start + size):
                mean, log_deviation = row[index], row[index + size]
                if not (-inf < mean < inf and -inf < log_deviation < inf):
                    raise NotFinite("a mean or a log standard deviation is not finite")
                if log_deviation > MAX_LOG_STANDARD_DEVIATION:
                    raise NotFinite("a standard deviation is beyond float32")
                deviation = exp(log_deviation)
                action = mean if draw is None else mean + deviation * draw()
                distance = (action - mean) / max(deviation, SMALLEST_DEVIATION)
                log_density -= 0.5 * distance * distance + log_deviation + LOG_SQRT_2PI
                actions.append(action)
            start += 2 * size
        return actions, exp(min(log_density, MAX_LOG_DENSITY))

    def log_probability(self, inputs: Array, actions: Actions) -> Array:
        means, standard_deviations = self.moments(inputs)
        # A standard deviation that underflows to 0 is a point: distance 0 there, never 0 / 0.
        scale = np.maximum(standard_deviations, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            distances = (actions - means) / scale
            logs = -0.5 * distances**2 - self._log_standard_deviations(inputs) - LOG_SQRT_2PI
        return np.asarray(logs.sum(axis=1))

    def entropy(self, inputs: Array) -> Array:
        logs = self._log_standard_deviations(inputs) + 0.5 + LOG_SQRT_2PI
        return np.asarray(logs.sum(axis=1))

    def moments(self, inputs: Array) -> tuple[Array, Array]:
        """Means and standard deviations, float64[B, H] each."""
        return inputs[:, self._means], np.exp(self._log_standard_deviations(inputs))

    def _log_standard_deviations(self, inputs: Array) -> Array:
        return inputs[:, self._log_stds]

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return output.width % 2 == 0

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        return width == 2 * len(sizes)

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        super().check_declared(output, word)
        if output.width % 2:
            raise UploadRejected(contradicted(word, str(_no_pairs(output, "."))))

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        if output.width % 2:
            raise _no_pairs(output, ".")
        return (output.width // 2,)

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        if heads is not None and 2 * heads != output.width:
            raise _no_pairs(output, f": the model's actions have {heads} dimensions.")
        return super().stated(output, heads)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if drawn.integer:
            return
        for sizes in dict.fromkeys([drawn.components, (drawn.heads,)]):
            if 2 * sum(sizes) == drawn.width:
                yield sizes

    @classmethod
    def unlike(cls, drawn: Drawn, by: str) -> str | None:
        if drawn.integer:
            return None
        if 2 * drawn.heads != drawn.width:
            return (
                f"The model's actions have {drawn.heads} dimensions, which take {2 * drawn.heads} "
                "distribution inputs (mean and log standard deviation); it has "
                f"{drawn.width}."
            )
        return (
            "The model's own draws are not those of a diagonal Gaussian: log-densities differ by "
            f"{by}. Squashed Gaussians (SAC) are not served."
        )

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"a diagonal Gaussian of {sum(sizes)} dimensions"


def _no_pairs(output: Output, why: str) -> UploadRejected:
    return UploadRejected(
        f"`{output.name}` has {output.width} numbers, and each mean needs a log standard "
        f"deviation{why}"
    )
