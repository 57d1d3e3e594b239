"""How a model's output is read: by its numbers, by its name, or as declared; never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.probabilities import OFF_BY
from policy_server.policy.families.registry import FamilyName


class Reading(StrEnum):
    """What the numbers of an output stand for, in the words of `model.yaml`."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    VALUES = "values"
    COSTS = "costs"
    ACTIONS = "actions"
    MEANS = "means"
    MEAN_LOG_STD = "mean_log_std"


NUMBERED: Mapping[Reading, FamilyName] = {
    Reading.LOGITS: "categorical",
    Reading.PROBABILITIES: "probabilities",
    Reading.VALUES: "greedy",
    Reading.COSTS: "costs",
    Reading.ACTIONS: "given",
}
REAL: Mapping[Reading, FamilyName] = {
    Reading.MEANS: "deterministic",
    Reading.ACTIONS: "deterministic",
    Reading.MEAN_LOG_STD: "gaussian",
}
"""The family of each reading, where actions are numbered and where they are real numbers."""

NAMES: Mapping[str, tuple[Reading, ...]] = {
    "q_values": (Reading.VALUES,),
    "action_dist_inputs": (Reading.LOGITS, Reading.MEAN_LOG_STD),
    "behaviour_logits": (Reading.LOGITS, Reading.MEAN_LOG_STD),
    "fc_out": (Reading.LOGITS, Reading.MEAN_LOG_STD),
    "logits": (Reading.LOGITS,),
    "mean_log_std": (Reading.MEAN_LOG_STD,),
    "deterministic_continuous_actions": (Reading.ACTIONS,),
    "deterministic_discrete_actions": (Reading.ACTIONS,),
}
"""Names of outputs that say what they hold, the surest first; the contract tells two apart."""

WORDS = {
    Reading.LOGITS: "logits",
    Reading.PROBABILITIES: "probabilities",
    Reading.VALUES: "values of actions",
    Reading.COSTS: "costs of actions",
    Reading.ACTIONS: "the action itself",
    Reading.MEANS: "means",
    Reading.MEAN_LOG_STD: "mean and log standard deviation",
}
EFFECTS = {
    Reading.LOGITS: "an action is drawn by a softmax of them",
    Reading.PROBABILITIES: "an action is drawn by them",
    Reading.VALUES: "the action of the highest is taken",
    Reading.COSTS: "the action of the lowest is taken",
    Reading.ACTIONS: "it is the action",
    Reading.MEANS: "the action is these {width} numbers, always",
    Reading.MEAN_LOG_STD: "{half} means, then {half} log standard deviations of a Gaussian",
}


class Undeclared(Exception):
    """Nothing says which output is served or how it is read; the message asks for it."""


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        integer: Its numbers are whole by their type.
        rows: float32[B, W], what the network puts out for the proof inputs; None where its first
            axis is not the batch.
    """

    name: str
    integer: bool
    rows: Floats

    @property
    def width(self) -> int:
        """W, how many numbers it has for each observation."""
        return int(self.rows.shape[1])


def named_output(names: Sequence[str], declared: str | None) -> str | None:
    """The output that is declared, or else has a name that says what it holds; None without one.

    Raises:
        UploadRejected: There is no output of the name that is declared.
    """
    if declared is not None and declared not in names:
        raise UploadRejected(
            f"model.yaml names the output `{declared}`, and the model has {listed(names)}."
        )
    return declared or next((name for name in NAMES if name in names), None)


def read(output: Output, declared: Reading | None, *, discrete: bool) -> Reading:
    """How an output is read.

    Args:
        output: Of the model, with what it put out for the proof inputs.
        declared: By `model.yaml`.
        discrete: The contract's actions are numbered.

    Raises:
        Undeclared: Several readings are possible.
        UploadRejected: The output contradicts what is declared, or cannot be a policy's.
    """
    if discrete and output.width == 1 and not output.integer and declared is not Reading.ACTIONS:
        raise UploadRejected(
            f"The network puts out one number for each observation (`{output.name}`): it is a "
            "value network (critic), which says how good a situation is, not what to do. Upload "
            "the network of the policy (actor). If it is the number of the action, say so in "
            "model.yaml: `reads: actions`."
        )
    if declared is not None:
        return _checked(output, declared, discrete=discrete)
    if output.integer:
        return Reading.ACTIONS
    certain = NAMES.get(output.name, ())
    if discrete and is_distribution(output.rows):
        if Reading.VALUES not in certain:
            return Reading.PROBABILITIES
    elif certain:
        families = NUMBERED if discrete else REAL
        # A name that contradicts the contract is its own reading: the contradiction is told.
        return next((each for each in certain if each in families), certain[0])
    raise Undeclared(question(output, discrete=discrete))


def only_output(tried: Sequence[Output], *, discrete: bool) -> Output:
    """The output that is served where no name tells: whole numbers, probabilities, or the only one.

    Args:
        tried: All outputs that follow from the observations, one at least.
        discrete: The contract's actions are numbered.

    Raises:
        Undeclared: It may be one or the other.
    """
    if len(tried) == 1:
        return tried[0]
    whole = [each for each in tried if each.integer]
    wide = [each for each in tried if each.width > 1]
    if discrete and len(whole) == 1:
        return whole[0]
    if discrete and len(wide) == 1 and is_distribution(wide[0].rows):
        return wide[0]  # beside the value of a critic
    raise Undeclared(question_of_several(tried, discrete=discrete))


def question(output: Output, *, discrete: bool) -> str:
    """Asks how an output is read: each reading that is possible, with its line."""
    one = f"`{output.name}` ({counted(output.width)} for each observation)"
    return f"what the output {one} means is not known: {_lines(output, discrete=discrete)}"


def question_of_several(outputs: Sequence[Output], *, discrete: bool) -> str:
    """Asks which output is served and how it is read."""
    possible = [each for each in outputs if each.width > 1 or each.integer or not discrete]
    if not possible:
        possible = list(outputs)
    names = ", ".join(f"`{each.name}` ({each.width})" for each in possible)
    lines = _lines(possible[0], discrete=discrete)
    return (
        f"which output is served is not known (numbers for each observation in brackets): {names}. "
        f"Write `output: {possible[0].name}`, or another of them, into model.yaml; and how it is "
        f"read: {lines}"
    )


def is_distribution(rows: Floats) -> bool:
    """Each row that is finite holds probabilities: none is negative, and their sum is 1."""
    finite = rows[np.isfinite(rows).all(axis=1)]
    if not len(finite) or rows.shape[1] < 2 or (finite < 0).any():
        return False
    return bool((np.abs(finite.astype(np.float64).sum(axis=1) - 1) <= OFF_BY).all())


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return ", ".join(f"`{name}`" for name in names)


def counted(width: int) -> str:
    """So many numbers, in words."""
    return f"{width} number{'s' * (width != 1)}"


def possible_readings(width: int, *, discrete: bool) -> list[Reading]:
    """Readings that an output of real numbers may have, by its width alone."""
    if discrete:
        return [Reading.LOGITS, Reading.VALUES, Reading.COSTS]
    return [Reading.MEANS] if width % 2 else [Reading.MEANS, Reading.MEAN_LOG_STD]


def _lines(output: Output, *, discrete: bool) -> str:
    readings = possible_readings(output.width, discrete=discrete)
    if discrete and is_distribution(output.rows):
        readings = [Reading.VALUES, Reading.PROBABILITIES]
    lines = [
        f"`reads: {each}` ({EFFECTS[each].format(width=output.width, half=output.width // 2)})"
        for each in readings
    ]
    here, there = ("numbered", "real numbers") if discrete else ("real numbers", "numbered")
    return (
        f"one of these lines of model.yaml says it: {', '.join(lines)}. The contract's actions are "
        f"{here} (DISCRETE_ACTIONS={discrete}); if those of the model are {there}, set "
        f"DISCRETE_ACTIONS={not discrete} and make the contract again"
    )


def _checked(output: Output, declared: Reading, *, discrete: bool) -> Reading:
    """The declared reading, unless the numbers contradict it."""
    name, width = output.name, output.width
    if declared is Reading.MEAN_LOG_STD and width % 2:
        raise UploadRejected(
            f"model.yaml says `reads: {declared}`, but `{name}` has {width} numbers, and each mean "
            "needs a log standard deviation."
        )
    if declared is Reading.LOGITS and discrete and is_distribution(output.rows):
        raise UploadRejected(
            f"model.yaml says `reads: {declared}`, but each row of `{name}` sums to 1: these are "
            "probabilities, `reads: probabilities`."
        )
    if output.integer and declared is not Reading.ACTIONS:
        raise UploadRejected(
            f"model.yaml says `reads: {declared}`, but `{name}` holds whole numbers: the action "
            "itself, `reads: actions`."
        )
    finite = output.rows[np.isfinite(output.rows)]
    if declared is Reading.PROBABILITIES and ((finite < 0) | (finite > 1 + OFF_BY)).any():
        raise UploadRejected(
            f"model.yaml says `reads: {declared}`, but `{name}` has numbers from "
            f"{finite.min():.3g} to {finite.max():.3g}."
        )
    if declared is Reading.ACTIONS and discrete and (finite != np.floor(finite)).any():
        raise UploadRejected(
            f"model.yaml says `reads: {declared}` and the contract has numbered actions, but "
            f"`{name}` has numbers that are not whole."
        )
    return declared
