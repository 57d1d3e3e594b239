"""What the actions of a model are: read off its outputs, proven by its own draws."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Array, Family
from policy_server.policy.families.recognition import Drawn, Output
from policy_server.policy.families.registry import FAMILIES, ReadAs
from policy_server.policy.saved_model_feeds import Draws
from policy_server.proving.reading import counted

TOLERANCE = 1e-4
"""Between log-probabilities; TensorFlow computes its own in float32."""
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

    family: str
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

    def beginning(self, rows: int, family: type[Family]) -> "Evidence":
        """The first of those draws whose probability tells something of a family."""
        if self.logs is None:
            return self
        telling = np.flatnonzero(np.isfinite(self.logs) & family.telling(self.actions))[:rows]
        logs = self.logs[telling]
        return Evidence(self.inputs[telling], self.actions[telling], self.components, logs)

    def drawn(self, integer: bool) -> Drawn:
        """What was drawn, as families know their own draws."""
        return Drawn(self.inputs.shape[1], self.actions, self.components, integer)

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
        telling &= distribution.telling(self.actions)
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
    assert evidence.logs is not None
    drawn = evidence.drawn(integer)
    heads = drawn.heads
    closest = np.inf
    for family in FAMILIES.values():
        few = evidence.beginning(FEW, family)
        for sizes in family.candidates(drawn):
            distribution = family(sizes)
            difference = few.disagreement(distribution)
            if difference <= TOLERANCE:
                difference = evidence.disagreement(distribution)
            if difference <= TOLERANCE:
                return Actions(
                    family.name,
                    sizes,
                    heads,
                    f"{family.described(sizes)}: log-probabilities of {len(evidence.logs)} actions "
                    f"that the model drew itself agree to {difference:.1e}",
                )
            closest = min(closest, difference)
    for family in FAMILIES.values():
        if family.has_too_many(drawn):
            return Actions(family.name, None, heads, f"{heads} heads of sizes that are not proven")
    by = f"{closest:.1e}, {TOLERANCE:.0e} is allowed"
    faults = [family.unlike(drawn, by) for family in FAMILIES.values()]
    raise UploadRejected(next(fault for fault in faults if fault is not None))


def stated_actions(output: Output, read_as: ReadAs, heads: int | None = None) -> Actions:
    """What follows from how an output is read, where no draws prove more.

    Args:
        output: Of the model.
        read_as: What its numbers stand for.
        heads: How many numbers make one action that the model draws; None where it draws none.

    Raises:
        UploadRejected: The model's draws have another number of dimensions.
    """
    stated = read_as.family.stated(output, heads)
    detail = f"{counted(output.width)}, `{output.name}`, read as {read_as.reading.words}"
    return Actions(read_as.family.name, stated.sizes, stated.heads, detail)


def declared_sizes_fault(folder: Path, distribution: Family) -> str | None:
    """Why heads of these sizes contradict the draws kept in a model's folder, if they do."""
    evidence = Evidence.read(folder)
    if not distribution.can_take(evidence.actions):
        return "the model draws actions beyond them"
    difference = evidence.disagreement(distribution)
    if difference <= TOLERANCE:
        return None
    return (
        f"log-probabilities of the model's own draws differ by {difference:.1e} under them, "
        f"{TOLERANCE:.0e} is allowed"
    )
