"""model.yaml on the input side: which features an input takes, and how features are normalised."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import yaml
from numpy.typing import NDArray

from policy_server.contract.document import FaultList, entries, mapping, plain_value
from policy_server.policy.features import Features
from policy_server.proving.memory_description import DeclaredMemory, Pair, Stack

NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
"""`3` or `0-7`: numbers of features, counted from 0, both ends included."""
STATISTICS = ("mean", "variance", "std", "epsilon", "clip")
ELSEWHERE = (
    ": an upload is one file. `check FOLDER` and `publish FOLDER` write the numbers of a .npz into "
    "it; else write `mean` and `variance` here."
)
MOST_FEATURES = 10_000_000

Declared: TypeAlias = Mapping[str, Sequence[str] | None]
"""Input -> what it takes: names of fields and numbers of features; None where its width says it.

The order counts where widths say it."""


@dataclass(frozen=True)
class Normalisation:
    """What happens to features before the network takes them.

    Attributes:
        mean: One number, or one for each feature.
        scale: What the difference to the mean is divided by, likewise.
        clip: Largest absolute value of what comes of it; None for no limit.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip: float | None = None

    @property
    def width(self) -> int:
        """How many features it speaks of; 1 where numbers hold for all of them."""
        return max(self.mean.size, self.scale.size)

    def of(self, features: Features) -> Features:
        """Normalised features, computed in float64 as the frameworks do."""
        with np.errstate(over="ignore"):
            scaled = ((features.astype(np.float64) - self.mean) / self.scale).astype(np.float32)
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)


@dataclass(frozen=True)
class InputDescription:
    """What is declared of a model's inputs.

    Attributes:
        inputs: What each takes; empty where nothing is declared.
        normalise: What is done to the features first.
        memory: What is carried from step to step; None where nothing is.
    """

    inputs: Declared = field(default_factory=dict)
    normalise: Normalisation | None = None
    memory: DeclaredMemory | None = None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The states of a recurrent network."""
        return () if self.memory is None or isinstance(self.memory, Stack) else self.memory

    @property
    def stack(self) -> Stack | None:
        """The stack of observations that the network takes; None where it takes one."""
        return self.memory if isinstance(self.memory, Stack) else None


def read_inputs(key: str, node: yaml.Node, faults: FaultList) -> Declared:
    """Read `inputs`: a list of inputs in order, or a mapping from an input to what it takes."""
    if isinstance(node, yaml.SequenceNode):
        names = _words(node, f"`{key}` lists names of inputs", faults)
        if len(set(names)) < len(names):
            faults.add(node, f"`{key}` names an input twice: keep one of them.")
        return dict.fromkeys(names)
    body = mapping(node, f"`{key}`", faults)
    found = {} if body is None else {name: value for name, _, value in entries(body, faults)}
    what = "an input takes names of fields or numbers of features, such as `[position, 4, 7-9]`"
    return {name: _words(value, what, faults) for name, value in found.items()}


def _words(node: yaml.Node, what: str, faults: FaultList) -> list[str]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    words = [item.value for item in items if isinstance(item, yaml.ScalarNode) and item.value]
    if not words or len(words) < len(items):
        faults.add(node, f"{what}.")
    return words


def read_normalisation(key: str, node: yaml.Node, faults: FaultList) -> Normalisation | None:
    """Read `normalise`: mean, and variance or std, with epsilon and clip."""
    before = len(faults.faults)
    if isinstance(node, yaml.ScalarNode) and node.value.endswith(".npz"):
        faults.add(node, f"`{key}: {node.value[:100]}`{ELSEWHERE}")
    elif (body := mapping(node, f"`{key}`", faults)) is not None:
        given = _given(body, faults)
        if len(faults.faults) == before:
            return _of_given(node, given, faults)
    return None


def _given(body: yaml.MappingNode, faults: FaultList) -> dict[str, NDArray[np.float64]]:
    """The numbers of each word."""
    given: dict[str, NDArray[np.float64]] = {}
    for name, where, value in entries(body, faults):
        if name == "file":
            faults.add(where, f"`{name}`{ELSEWHERE}")
        elif name not in STATISTICS:
            faults.add(where, f"`{name}` is not known here: {', '.join(STATISTICS)} are.")
        elif (numbers := _numbers(value)) is None:
            faults.add(value, f"`{name}` is a finite number, or a list with one for each feature.")
        elif name in ("epsilon", "clip") and numbers.size != 1:
            faults.add(value, f"`{name}` is one number.")
        elif name != "mean" and (numbers < 0).any():
            faults.add(value, f"`{name}` is nowhere negative.")
        else:
            given[name] = numbers
    return given


def _of_given(
    node: yaml.Node, given: Mapping[str, NDArray[np.float64]], faults: FaultList
) -> Normalisation | None:
    if "mean" not in given or ("variance" in given) == ("std" in given):
        faults.add(node, "`normalise` needs `mean`, and one of `variance` and `std`.")
        return None
    return _normalisation(node, given, faults)


def _normalisation(
    node: yaml.Node, given: Mapping[str, NDArray[np.float64]], faults: FaultList
) -> Normalisation | None:
    epsilon = given.get("epsilon", np.zeros(1))
    by_variance = "variance" in given
    scale = np.sqrt(given["variance"] + epsilon) if by_variance else given["std"] + epsilon
    mean, clip = given["mean"], given.get("clip")
    if mean.size != scale.size and 1 not in (mean.size, scale.size):
        faults.add(node, f"{mean.size} means are given and {scale.size} deviations.")
    elif not scale.all():
        faults.add(node, f"a deviation is 0 (feature {int(np.argmin(scale))}): give `epsilon`.")
    elif clip is not None and not clip[0]:
        faults.add(node, "`clip: 0` would leave nothing of the features.")
    else:
        return Normalisation(mean, scale, None if clip is None else float(clip[0]))
    return None


def _numbers(node: yaml.Node) -> NDArray[np.float64] | None:
    """Finite numbers, float64[n]; None where the node holds anything else."""
    try:
        value = plain_value(node)
    except ValueError:
        return None
    items = value if isinstance(value, list) else [value]
    plain = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    if not items or not plain or not all(map(_is_finite, items)):
        return None
    return np.array(items, np.float64)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond float64
        return False


def feature_numbers(word: str) -> range | None:
    """The features that `3` or `0-7` stands for; None for any other word."""
    match = NUMBERS.fullmatch(word)
    if match is None or len(word) > 2 * len(str(MOST_FEATURES)):
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    return range(first, last + 1) if first <= last < MOST_FEATURES else None
