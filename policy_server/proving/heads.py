"""What the actions of a model are: read off its outputs, proven by its own draws."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.family import Array, Family
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.greedy import Greedy
from policy_server.policy.families.registry import FAMILIES, FamilyName
from policy_server.policy.saved_model import Draws
from policy_server.proving.reading import NUMBERED, REAL, WORDS, Output, Reading, counted
from policy_server.resources import COMMAND

TOLERANCE = 1e-4
"""Between log-probabilities; TensorFlow computes its own in float32."""
MAX_SPLITS = 5_000
FEW = 8
"""Draws that show most wrong sizes for wrong."""
MIN_TELLING = 0.25
"""Of the draws, how many at least must have a finite probability by the model's own account."""
EVIDENCE = "draws.npz"


@dataclass(frozen=True)
class Actions:
    """What is known of a model's actions; what is not known is None.

    Attributes:
        family: How its distribution inputs are to be read.
        sizes: Actions of each head, or dimensions of each component.
        heads: How many heads, where their sizes could not be proven.
        detail: How this was found out.
    """

    family: FamilyName
    sizes: tuple[int, ...] | None
    heads: int | None
    detail: str


@dataclass(frozen=True)
class Evidence:
    """What a model drew itself, beside the distribution inputs that it drew from.

    Attributes:
        inputs: float64[B, W].
        actions: float64[B, H], every component of every output side by side.
        components: How many of the H came from each output.
        logs: Joint log-probabilities float64[B] as the model states them; None where it does not.
    """

    inputs: Array
    actions: Array
    components: tuple[int, ...]
    logs: Array | None

    @classmethod
    def of(cls, draws: Draws, inputs: Array) -> "Evidence":
        """Evidence from draws for the observations that the inputs belong to."""
        columns = [
            np.asarray(action, dtype=np.float64).reshape(len(inputs), -1)
            for action in draws.actions
        ]
        logs = draws.log_probability
        return cls(
            inputs,
            np.concatenate(columns, axis=1),
            tuple(column.shape[1] for column in columns),
            None if logs is None else logs.astype(np.float64).reshape(len(inputs)),
        )

    def beginning(self, rows: int) -> "Evidence":
        """The first of those draws that have a finite probability."""
        if self.logs is None:
            return self
        telling = np.flatnonzero(np.isfinite(self.logs))[:rows]
        logs = self.logs[telling]
        return Evidence(self.inputs[telling], self.actions[telling], self.components, logs)

    @property
    def seen(self) -> NDArray[np.int64]:
        """int64[H]: how many actions each head has at least, where actions are numbers."""
        return np.asarray(self.actions.max(axis=0) + 1, dtype=np.int64)

    def write(self, folder: Path) -> None:
        """Keep it, for heads that will be declared later."""
        logs = np.zeros(0) if self.logs is None else self.logs
        np.savez(
            folder / EVIDENCE,
            inputs=self.inputs,
            actions=self.actions,
            components=self.components,
            logs=logs,
        )

    @classmethod
    def read(cls, folder: Path) -> "Evidence":
        """Read what `write` kept."""
        with np.load(folder / EVIDENCE) as kept:
            logs = kept["logs"] if kept["logs"].size else None
            return cls(kept["inputs"], kept["actions"], tuple(kept["components"]), logs)

    def disagreement(self, distribution: Family) -> float:
        """The largest difference between log-probabilities of the draws, ours and the model's.

        Draws to which the model itself gives no finite probability say nothing: random features
        may lie where no observation does.
        """
        if self.logs is None:
            return 0.0
        telling = np.isfinite(self.logs) & np.isfinite(self.actions).all(axis=1)
        if telling.sum() < max(1, MIN_TELLING * len(telling)):
            return np.inf
        logs = self.logs[telling]
        with np.errstate(invalid="ignore"):
            ours = distribution.log_probability(self.inputs[telling], self.actions[telling])
            assert ours is not None  # no family without probabilities is a candidate
            differences = np.abs(ours - logs) / np.maximum(1.0, np.abs(logs))
        return float(np.max(np.where(np.isnan(differences), np.inf, differences)))


def derive_actions(evidence: Evidence, integer: bool) -> Actions:
    """Find the family and the sizes under which the model's own draws are as probable as it says.

    Args:
        evidence: What the model drew, and how probable it says that was.
        integer: Whether drawn actions are numbers of actions.

    Raises:
        UploadRejected: The draws follow none of the families that are served.
    """
    heads, width = evidence.actions.shape[1], evidence.inputs.shape[1]
    assert evidence.logs is not None
    closest, few = np.inf, evidence.beginning(FEW)
    for family, sizes, distribution in _candidates(evidence, integer):
        difference = few.disagreement(distribution)
        if difference <= TOLERANCE:
            difference = evidence.disagreement(distribution)
        if difference <= TOLERANCE:
            return Actions(
                family,
                sizes,
                heads,
                f"{_words(family, sizes)}: log-probabilities of {len(evidence.logs)} actions that "
                f"the model drew itself agree to {difference:.1e}",
            )
        closest = min(closest, difference)
    if integer and _is_beyond_trying(width, evidence.seen):
        return Actions("categorical", None, heads, f"{heads} heads of sizes that are not proven")
    raise UploadRejected(_unknown_family(integer, evidence, closest))


def stated_actions(
    output: Output, reading: Reading, *, discrete: bool, heads: int | None = None
) -> Actions:
    """What follows from how an output is read, where no draws prove more.

    Args:
        output: Of the model.
        reading: What its numbers stand for.
        discrete: The contract's actions are numbered.
        heads: How many numbers make one action that the model draws; None where it draws none.

    Raises:
        UploadRejected: The model's draws have another number of dimensions.
    """
    # A reading that the contract does not have is told as a contradiction to it.
    here, there = (NUMBERED, REAL) if discrete or output.integer else (REAL, NUMBERED)
    family = here.get(reading) or there[reading]
    width = output.width
    detail = f"{counted(width)}, `{output.name}`, read as {WORDS[reading]}"
    if family in ("categorical", "probabilities"):
        return Actions(family, (width,) if heads == 1 else None, heads, detail)
    if family == "gaussian":
        if width % 2 or heads not in (None, width // 2):
            raise UploadRejected(
                f"`{output.name}` has {width} numbers, and each mean needs a log standard deviation"
                + ("." if heads is None else f": the model's actions have {heads} dimensions.")
            )
        return Actions(family, (width // 2,), width // 2, detail)
    sizes = (1,) * width if family == "given" else (width,)
    one_head = family in ("greedy", "costs")
    return Actions(family, sizes, 1 if one_head else width, detail)


def declared_sizes_fault(folder: Path, sizes: tuple[int, ...]) -> str | None:
    """Why heads of these sizes contradict the draws kept in a model's folder, if they do."""
    evidence = Evidence.read(folder)
    if (evidence.actions >= np.array(sizes)).any():
        return "the model draws actions beyond them"
    difference = evidence.disagreement(Categorical(sizes))
    if difference <= TOLERANCE:
        return None
    return (
        f"log-probabilities of the model's own draws differ by {difference:.1e} under them, "
        f"{TOLERANCE:.0e} is allowed"
    )


def contradiction(actions: Actions, contract: Contract) -> str | None:
    """Why a model cannot serve under a contract, and what to regenerate; None where it can."""
    again = f"run `{COMMAND} schema` again"
    discrete = FAMILIES[actions.family]((2,)).numbered
    if discrete != contract.discrete:
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


def _candidates(
    evidence: Evidence, integer: bool
) -> Iterator[tuple[FamilyName, tuple[int, ...], Family]]:
    width, components, actions = evidence.inputs.shape[1], evidence.components, evidence.actions
    if not integer:
        for sizes in dict.fromkeys([components, (sum(components),)]):
            if 2 * sum(sizes) == width:
                yield "gaussian", sizes, DiagonalGaussian(sizes)
        return
    if actions.min() < 0:
        return
    for sizes in _splits(width, evidence.seen):
        yield "categorical", sizes, Categorical(sizes)
    if actions.shape[1] == 1 and actions.max() < width:
        yield "greedy", (width,), Greedy((width,))


def _splits(width: int, least: NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    """Ways to divide the logits among the heads: equal ones first, then all others, bounded.

    Args:
        width: Logits of all heads together.
        least: int64[H], the actions of each head that were seen.
    """
    heads = len(least)
    equal = (width // heads,) * heads
    if sum(equal) == width and (least <= equal[0]).all():
        yield equal
    spare = width - int(least.sum())
    # Actions that were never seen are shared out by H - 1 bars between them.
    bars = combinations(range(spare + heads - 1), heads - 1) if spare >= 0 else ()
    for places in islice(bars, MAX_SPLITS):
        sizes = tuple((least + np.diff([-1, *places, spare + heads - 1]) - 1).tolist())
        if sizes != equal:
            yield sizes


def _is_beyond_trying(width: int, least: NDArray[np.int64]) -> bool:
    spare, heads = width - int(least.sum()), len(least)
    return spare >= 0 and comb(spare + heads - 1, heads - 1) > MAX_SPLITS


def _words(family: FamilyName, sizes: tuple[int, ...]) -> str:
    if family == "gaussian":
        return f"a diagonal Gaussian of {sum(sizes)} dimensions"
    if family == "greedy":
        return f"the highest of {sizes[0]} values"
    return f"{len(sizes)} head{'s' * (len(sizes) > 1)} of {', '.join(map(str, sizes))} actions"


def _unknown_family(integer: bool, evidence: Evidence, closest: float) -> str:
    dimensions, width = evidence.actions.shape[1], evidence.inputs.shape[1]
    if integer:
        return (
            "The model's own draws are not those of a softmax over its distribution inputs: "
            f"log-probabilities differ by {closest:.1e}, {TOLERANCE:.0e} is allowed."
        )
    if 2 * dimensions != width:
        return (
            f"The model's actions have {dimensions} dimensions, which take {2 * dimensions} "
            f"distribution inputs (mean and log standard deviation); it has {width}."
        )
    return (
        "The model's own draws are not those of a diagonal Gaussian: log-densities differ by "
        f"{closest:.1e}, {TOLERANCE:.0e} is allowed. Squashed Gaussians (SAC) are not served."
    )
