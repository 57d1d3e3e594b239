"""What the actions of a model are: read off its outputs, proven by its own draws."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy.distributions import (
    Array,
    Categorical,
    DiagonalGaussian,
    Distribution,
    Greedy,
)
from policy_server.policy.engine import Family
from policy_server.policy.tensorflow_engine import Draws

TOLERANCE = 1e-4
"""Between log-probabilities; TensorFlow computes its own in float32."""
MAX_SPLITS = 20_000


@dataclass(frozen=True)
class Actions:
    """What a model says of its actions; what it does not say is None.

    Attributes:
        family: How its distribution inputs are to be read.
        sizes: Actions of each head, or dimensions of each component.
        heads: How many heads, where their sizes could not be proven.
        detail: How this was found out.
    """

    family: Family | None
    sizes: tuple[int, ...] | None
    heads: int | None
    detail: str


def derive_actions(draws: Draws, integer: bool, inputs: Array) -> Actions:
    """Find the family and the sizes under which the model's own draws are as probable as it says.

    Args:
        draws: What the model drew, for B observations.
        integer: Whether drawn actions are numbers of actions.
        inputs: The distribution inputs that belong to the draws, float64[B, W].

    Raises:
        UploadRejected: The draws follow none of the families that are served.
    """
    columns = [_as_columns(action) for action in draws.actions]
    actions = np.concatenate(columns, axis=1)
    heads = actions.shape[1]
    if draws.log_probability is None:
        family: Family = "categorical" if integer else "gaussian"
        sizes = _only_possible(columns, inputs.shape[1], integer)
        return Actions(family, sizes, heads, f"{heads} by its outputs; it states no probabilities")
    logs = draws.log_probability.astype(np.float64)
    worst = np.inf
    for family, sizes, distribution in _candidates(columns, actions, integer, inputs.shape[1]):
        difference = _disagreement(distribution, inputs, actions, logs)
        if difference <= TOLERANCE:
            return Actions(
                family,
                sizes,
                heads,
                f"{_words(family, sizes)}: log-probabilities of {len(logs)} actions that the "
                f"model drew itself agree to {difference:.1e}",
            )
        worst = min(worst, difference)
    if integer and heads > 1:
        return Actions("categorical", None, heads, f"{heads} heads of sizes that are not proven")
    raise UploadRejected(_unknown_family(integer, actions, inputs, worst))


def contradiction(actions: Actions, contract: Contract) -> str | None:
    """Why a model cannot serve under a contract, and what to regenerate; None where it can."""
    again = "run `python generate.py schema` again"
    discrete = None if actions.family is None else actions.family != "gaussian"
    if discrete is not None and discrete != contract.discrete:
        return (
            f"The model's actions are {'numbered' if discrete else 'real numbers'}, the contract "
            f"has DISCRETE_ACTIONS={contract.discrete}: set DISCRETE_ACTIONS={discrete} and "
            f"{again}."
        )
    if not contract.discrete or actions.heads is None:
        return None
    if actions.heads > 1 and not contract.tuple:
        return (
            f"The model decides on {actions.heads} heads at once, the contract has TUPLE=False: "
            f"set TUPLE=True and {again}."
        )
    if actions.heads == 1 and contract.tuple:
        return (
            "The model decides on one action, the contract has TUPLE=True: "
            f"set TUPLE=False and {again}."
        )
    return None


def _as_columns(action: NDArray[np.generic]) -> NDArray[np.float64]:
    return np.asarray(action, dtype=np.float64).reshape(len(action), -1)


def _candidates(
    columns: Sequence[NDArray[np.float64]], actions: Array, integer: bool, width: int
) -> Iterator[tuple[Family, tuple[int, ...], Distribution]]:
    if not integer:
        components = tuple(column.shape[1] for column in columns)
        for sizes in dict.fromkeys([components, (sum(components),)]):
            if 2 * sum(sizes) == width:
                yield "gaussian", sizes, DiagonalGaussian(sizes)
        return
    for sizes in _splits(width, actions.max(axis=0).astype(int) + 1):
        yield "categorical", sizes, Categorical(sizes)
    if actions.shape[1] == 1 and actions.max() < width:
        yield "greedy", (width,), Greedy(width)


def _splits(width: int, least: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    """Ways to divide the logits among the heads: equal ones first, then all others, bounded."""
    heads = len(least)
    if width % heads == 0 and (least <= width // heads).all():
        yield (width // heads,) * heads
    cuts = combinations(range(1, width), heads - 1)
    for cut in islice(cuts, MAX_SPLITS) if heads > 1 else ():
        sizes = tuple(int(size) for size in np.diff([0, *cut, width]))
        if (least <= np.array(sizes)).all() and len(set(sizes)) > 1:
            yield sizes


def _disagreement(distribution: Distribution, inputs: Array, actions: Array, logs: Array) -> float:
    ours = distribution.log_probability(inputs, actions)
    with np.errstate(invalid="ignore"):
        differences = np.abs(ours - logs) / np.maximum(1.0, np.abs(logs))
    return float(np.max(np.where(np.isnan(differences), np.inf, differences)))


def _only_possible(
    columns: Sequence[NDArray[np.float64]], width: int, integer: bool
) -> tuple[int, ...] | None:
    """The sizes, where nothing but the number of outputs is needed to tell them."""
    components = tuple(column.shape[1] for column in columns)
    if integer:
        return (width,) if sum(components) == 1 else None
    return components if 2 * sum(components) == width else None


def _words(family: Family, sizes: tuple[int, ...]) -> str:
    if family == "gaussian":
        return f"a diagonal Gaussian of {sum(sizes)} dimensions"
    if family == "greedy":
        return f"the highest of {sizes[0]} values"
    return f"{len(sizes)} head{'s' * (len(sizes) > 1)} of {', '.join(map(str, sizes))} actions"


def _unknown_family(integer: bool, actions: Array, inputs: Array, worst: float) -> str:
    if integer:
        return (
            "The model's own draws are not those of a softmax over its distribution inputs: "
            f"log-probabilities differ by {worst:.1e}, {TOLERANCE:.0e} is allowed."
        )
    if 2 * actions.shape[1] != inputs.shape[1]:
        return (
            f"The model's actions have {actions.shape[1]} dimensions, which take "
            f"{2 * actions.shape[1]} distribution inputs (mean and log standard deviation); "
            f"it has {inputs.shape[1]}."
        )
    return (
        "The model's own draws are not those of a diagonal Gaussian: log-densities differ by "
        f"{worst:.1e}, {TOLERANCE:.0e} is allowed. Squashed Gaussians (SAC) are not served."
    )
