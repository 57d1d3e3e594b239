"""`normalise`: less the mean, by the standard deviation, as the framework of training did it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, Self

import numpy as np
import yaml

from policy_server.contract.document import entries, mapping
from policy_server.policy.preprocessing.clip import ARITHMETIC, bounds_of, clipped_words
from policy_server.policy.preprocessing.hints import unknown_word
from policy_server.policy.preprocessing.operation import Given, Numbers, Operation, number_of, shown


class Formula(NamedTuple):
    """How a framework normalises.

    Attributes:
        under_root: Its epsilon is added to the variance, else to the standard deviation.
        epsilon: What is added.
        clip: The result lies within [-clip, clip]; None where it is not clipped.
        clip_varies: It clips in one place and not in another, so `clip` must be said.
    """

    under_root: bool
    epsilon: float
    clip: float | None = None
    clip_varies: str = ""


FRAMEWORKS: Mapping[str, Formula] = {
    # VecNormalize._normalize_obs
    "stable_baselines3": Formula(under_root=True, epsilon=1e-8, clip=10.0),
    # utils.filter.MeanStdFilter with utils.numpy.SMALL_NUMBER
    "rllib": Formula(
        under_root=False,
        epsilon=1e-6,
        clip_varies="`clip: none` for `observation_filter: MeanStdFilter`, `clip: 10` for the "
        "connector MeanStdFilter (its `clip_by_value`)",
    ),
    # EmpiricalNormalization
    "rsl_rl": Formula(under_root=False, epsilon=0.01),
}
WORDS = ("framework", "mean", "variance", "std", "epsilon", "clip")
NO_CLIP = "none"
STATISTICS_FILE = "file"
"""The word for a file of statistics, which only a folder can have."""


class Normalise(Operation):
    """`(x - mean) / divisor`, clipped if wanted."""

    word = "normalise"
    arithmetic = ((np.subtract, 0.0), (np.divide, 1.0), *ARITHMETIC)

    @classmethod
    def read(cls, given: Given) -> Self | None:
        values = _values(given)
        if values is None:
            return None
        before = len(given.faults.faults)
        formula = _formula(values)
        mean = values["mean"].numbers() if "mean" in values else None
        if "mean" not in values:
            given.fault("needs `mean`.")
        divisor = _divisor(given, values, formula) if formula is not None else None
        bounds = _bounds(given, values, formula) if formula is not None else None
        if len(given.faults.faults) > before or mean is None or divisor is None or bounds is None:
            return None
        return cls(mean, divisor, *bounds)

    def in_words(self, expression: str, index: int) -> str:
        mean, divisor, *bounds = self.operands
        less = f"({expression} - {shown(mean[index])})" if mean[index] else f"({expression})"
        return f"{less} / {shown(divisor[index])}{clipped_words(tuple(bounds), index)}"


def _values(given: Given) -> dict[str, Given] | None:
    """What is given for each word; None with a fault where it is no mapping, or is elsewhere."""
    body = mapping(given.node, given.what, given.faults)
    if body is None:
        return None
    values: dict[str, Given] = {}
    elsewhere = False
    for word, key, node in entries(body, given.faults):
        if word in WORDS:
            values[word] = replace(given, what=f"`{word}` of {given.what}", node=node)
        elif word == STATISTICS_FILE:
            elsewhere = True
            given.faults.add(
                key,
                f"`{word}`: an upload is one file. `publish FOLDER` writes the numbers of a .npz "
                "into it; else write `mean` and `variance` here.",
            )
        else:
            given.faults.add(key, unknown_word(word, WORDS))
    return None if elsewhere else values


def _formula(values: Mapping[str, Given]) -> Formula | None:
    """The formula by the framework; else by whether variance or deviation is given."""
    if "framework" not in values:
        return Formula(under_root="variance" in values, epsilon=0.0)
    given = values["framework"]
    name = given.node.value if isinstance(given.node, yaml.ScalarNode) else ""
    if name not in FRAMEWORKS:
        given.fault(f"is one of {', '.join(FRAMEWORKS)}.")
        return None
    return FRAMEWORKS[name]


def _divisor(given: Given, values: Mapping[str, Given], formula: Formula) -> Numbers | None:
    """What is divided by; None with a fault."""
    spreads = [word for word in ("variance", "std") if word in values]
    if len(spreads) != 1:
        given.fault("needs `variance` or `std`, one of them.")
        return None
    stated = values[spreads[0]]
    spread = stated.numbers()
    epsilon = formula.epsilon
    if "epsilon" in values:
        said = number_of(values["epsilon"].node)
        if said is None or said < 0:
            values["epsilon"].fault("is a number, 0 or above.")
            return None
        epsilon = said
    if spread is None:
        return None
    if (spread < 0).any():
        stated.fault(f"is below 0 at {_place(spread < 0)}.")
        return None
    if formula.under_root:
        variance = spread if spreads[0] == "variance" else spread**2
        divisor: Numbers = np.sqrt(variance + epsilon)
    else:
        divisor = (spread if spreads[0] == "std" else np.sqrt(spread)) + epsilon
    if not divisor.all():
        stated.fault(f"is 0 at {_place(divisor == 0)}, and 0 divides nothing: give an `epsilon`.")
        return None
    return divisor


def _place(wrong: "np.typing.NDArray[np.bool_]") -> str:
    return f"number {int(np.argmax(wrong))}, counted from 0"


def _bounds(
    given: Given, values: Mapping[str, Given], formula: Formula
) -> tuple[Numbers, Numbers] | None:
    """What results are clipped to, infinite where they are not; None with a fault."""
    clip = values.get("clip")
    if clip is None and formula.clip_varies:
        given.fault(f"does not say whether it clips: {formula.clip_varies}.")
        return None
    if clip is not None and getattr(clip.node, "value", None) != NO_CLIP:
        return bounds_of(clip)
    end = np.inf if clip is not None or formula.clip is None else formula.clip
    return np.full(given.width, -end), np.full(given.width, end)
