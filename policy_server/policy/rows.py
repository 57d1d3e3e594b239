"""One decision in plain Python: for a single row, NumPy's calls cost more than the arithmetic.

The same formulas as in distributions.py, which serves whole batches; tests hold the two together.
"""

from collections.abc import Callable, Sequence
from math import exp, inf, isnan

from policy_server.policy.distributions import (
    LOG_SQRT_2PI,
    MASKED,
    MAX_LOG_DENSITY,
    MAX_LOG_STANDARD_DEVIATION,
    NotFinite,
)

Draw = Callable[[], float]
"""Gives the next random number, uniform or normal; None stands for the most probable action."""

SMALLEST_DEVIATION = 2.2250738585072014e-308


def decide_categorical(
    inputs: Sequence[float], head_sizes: Sequence[int], uniform: Draw | None
) -> tuple[list[int], float]:
    """Choose an action of each head.

    Returns:
        The actions, and their joint probability.

    Raises:
        NotFinite: No distribution follows from the inputs.
    """
    actions: list[int] = []
    probability = 1.0
    start = 0
    for size in head_sizes:
        logits = inputs[start : start + size]
        start += size
        action, share = _choose(logits, uniform)
        actions.append(action)
        probability *= share
    return actions, probability


def decide_greedy(inputs: Sequence[float]) -> tuple[list[int], float]:
    """The action of the highest value, always; raises like `decide_categorical`."""
    best = _best(inputs, "value")
    return [inputs.index(best)], 1.0


def decide_gaussian(
    inputs: Sequence[float], component_sizes: Sequence[int], normal: Draw | None
) -> tuple[list[float], float]:
    """Draw each dimension of an action, or take its mean.

    Returns:
        The action, and its joint density.

    Raises:
        NotFinite: No distribution follows from the inputs.
    """
    actions: list[float] = []
    log_density = 0.0
    start = 0
    for size in component_sizes:
        for index in range(start, start + size):
            mean, log_deviation = inputs[index], inputs[index + size]
            if not (-inf < mean < inf and -inf < log_deviation < inf):
                raise NotFinite("a mean or a log standard deviation is not finite")
            if log_deviation > MAX_LOG_STANDARD_DEVIATION:
                raise NotFinite("a standard deviation is beyond float32")
            deviation = exp(log_deviation)
            action = mean if normal is None else mean + deviation * normal()
            distance = (action - mean) / max(deviation, SMALLEST_DEVIATION)
            log_density -= 0.5 * distance * distance + log_deviation + LOG_SQRT_2PI
            actions.append(action)
        start += 2 * size
    return actions, exp(min(log_density, MAX_LOG_DENSITY))


def _choose(logits: Sequence[float], uniform: Draw | None) -> tuple[int, float]:
    best = _best(logits, "logit")
    weights = [exp(logit - best) for logit in logits]
    total = sum(weights)
    if uniform is None:
        return logits.index(best), 1.0 / total
    threshold = uniform() * total
    last = 0
    for action, weight in enumerate(weights):
        if weight > 0.0:
            if threshold < weight:
                return action, weight / total
            threshold -= weight
            last = action
    return last, weights[last] / total  # the threshold was rounded up to the total


def _best(scores: Sequence[float], what: str) -> float:
    best = max(scores)
    if not best < inf or any(map(isnan, scores)):
        raise NotFinite(f"a {what} is NaN or +inf")
    if best <= MASKED:
        raise NotFinite("every action is masked")
    return best
