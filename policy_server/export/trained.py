"""A trained policy as its framework has it: what every file of a framework hands to `folder`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray


class Decided(NamedTuple):
    """What a policy decided for one observation, by its framework's own code.

    Attributes:
        applied: The action as `env.step` takes it.
        action: The same as the network says it, before it is scaled or clipped: numbers of actions
            counted from 0, or real numbers.
        inputs: float32[W], what the network put out for it: `distribution_inputs` of golden cases;
            None where it cannot be had, or where masks forbid some of it.
        probabilities: Of every action, one head after the other, masked ones 0; None where `inputs`
            say it.
        state: What the policy carries to the next step; None where it has no memory.
    """

    applied: Any
    action: Sequence[float]
    inputs: NDArray[Any] | None = None
    probabilities: Sequence[float] | None = None
    state: Any = None


@dataclass(frozen=True)
class Normalise:
    """What is done to features first: less `mean`, by the deviation, clipped.

    Attributes:
        mean: float64[F].
        variance: float64[F]; or None, and `std` is there: the formulas of docs/policies.md differ.
        std: float64[F].
        epsilon: Added to the variance within the root, or to the standard deviation.
        clip: Largest size of a number afterwards; None for none.
    """

    mean: NDArray[Any]
    variance: NDArray[Any] | None = None
    std: NDArray[Any] | None = None
    epsilon: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class Description:
    """What model.yaml says of the network.

    Attributes:
        reads: How its output is read: a word of docs/policies.md.
        output: Name of the output, or names by role (`{"mean": "mu", "log_std": "log_std"}`).
        inputs: Name of each input with the numbers of features it takes, such as `0-3`; None where
            there is one input that takes all.
        action_range: Its numbers that stand for the bounds of the action space; None where the
            network's numbers are those of the space.
        normalise: What is done to features before the network; None for nothing.
        memory: Pairs of `{"input": ..., "output": ...}`, or `{"frames": ..., "padding": ...}`.
    """

    reads: str
    output: str | Mapping[str, str] | None = None
    inputs: Mapping[str, Any] | None = None
    action_range: tuple[float, float] | None = None
    normalise: Normalise | None = None
    memory: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None


class Trained:
    """A policy that can be exported; each framework has a class below this one.

    Attributes:
        framework: Name of the framework, and of the algorithm where that is known.
        observation_space: What the environment gives the policy.
        action_space: What the environment takes of it.
        description: What model.yaml says.
        masked: The environment says which actions are allowed (`mask`).
        training_returns: Of the last episodes of training, where the checkpoint has them.
    """

    framework: str
    observation_space: Any
    action_space: Any
    description: Description
    masked = False
    training_returns: Sequence[float] = ()

    def write_model(self, folder: Path) -> None:
        """Write the network into a folder, under a name that `publish` takes."""
        raise NotImplementedError

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """The framework's own deterministic decision.

        Args:
            observation: As the environment gave it.
            state: Of the step before; None at the beginning of an episode.
            mask: bool[A] of allowed actions, one head after the other; None where not `masked`.
        """
        raise NotImplementedError

    def mask(self, env: Any) -> Any:
        """Actions that the environment allows now, bool[A], where the policy is `masked`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Options:
    """What a user may say of an export.

    Attributes:
        names: Of the numbers of an observation.
        actions: Of the numbers of an action.
        meanings: Of the numbers of a Discrete action.
        episodes: How many are played to record golden cases.
        cases: How many golden cases are kept of them.
        seed: Of the first episode; each takes the next.
        max_steps: After which an episode that does not end is left.
    """

    names: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    meanings: Sequence[str] | None = None
    episodes: int = 5
    cases: int = 100
    seed: int = 0
    max_steps: int = 1_000
