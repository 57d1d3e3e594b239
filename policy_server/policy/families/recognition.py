"""What a family is recognised by: an output of a model, and what the model draws itself."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.engines.engine import Floats


class Reading(NamedTuple):
    """What the numbers of an output stand for.

    Attributes:
        word: The reading as `model.yaml` declares it: `values`.
        words: The numbers in words: `values of actions`.
        effect: What follows from them, for the one who declares it; may name the `{width}` of the
            output, and `{half}` of it.
        names: Outputs called so are read so, unless draws or numbers say something else.
        sure_names: Outputs called so are read so, whatever the model itself draws.
        roles: What the outputs are that make up these numbers where each is one of its own.
    """

    word: str
    words: str
    effect: str
    names: tuple[str, ...] = ()
    sure_names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        integer: Its numbers are whole by their type.
        rows: float32[B, W], what the network puts out for the proof inputs.
        parts: How many of its numbers each output has, where several outputs of the model were
            laid side by side, one for each head.
    """

    name: str
    integer: bool
    rows: Floats
    parts: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """W, how many numbers it has for each observation."""
        return int(self.rows.shape[1])


@dataclass(frozen=True)
class Drawn:
    """Actions that a model drew itself, from W numbers each.

    Attributes:
        width: W.
        actions: float64[B, H], every component of every output side by side.
        components: How many of the H came from each output.
        integer: They are numbers of actions.
    """

    width: int
    actions: NDArray[np.float64]
    components: tuple[int, ...]
    integer: bool

    @property
    def heads(self) -> int:
        """H, how many numbers make one action."""
        return int(self.actions.shape[1])

    @property
    def seen(self) -> NDArray[np.int64]:
        """int64[H]: how many actions each head has at least, where actions are numbers."""
        return np.asarray(self.actions.max(axis=0) + 1, dtype=np.int64)


class Stated(NamedTuple):
    """The actions that an output stands for, as far as its width says it; None is not known.

    Attributes:
        sizes: Actions of each head, or dimensions of each component.
        heads: How many numbers make one action.
    """

    sizes: tuple[int, ...] | None
    heads: int | None


ALWAYS_THE_SAME = ("deterministic_continuous_actions", "deterministic_discrete_actions")
"""What ML-Agents calls outputs that are the action itself."""
DISTRIBUTION_INPUTS = ("action_dist_inputs", "behaviour_logits", "fc_out")
"""What RLlib calls the inputs of its distributions, of whichever family."""


def contradicted(word: str, fact: str) -> str:
    """That a declared reading cannot be, in a sentence."""
    return f"model.yaml says `reads: {word}`, but {fact}"


def finite(output: Output) -> Floats:
    """All finite numbers of an output, in one row."""
    numbers: Floats = output.rows[np.isfinite(output.rows)]
    return numbers
