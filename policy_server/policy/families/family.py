"""What every family of distributions can do.

Shapes: B batch, W distribution inputs, H heads or dimensions, A actions of a head.
Everything is computed in float64: a mask of -3.4e38 then shifts and exponentiates without overflow.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.actions import Kind
from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.families.recognition import Drawn, Output, Reading, Stated, contradicted
from policy_server.policy.families.terms import Terms
from policy_server.policy.output_mapper import OutputMapper

Answer = dict[str, Any]
"""A Prediction or a Distribution of the contract, ready for JSON."""
Array = NDArray[np.float64]
Actions = NDArray[np.int64] | NDArray[np.float64] | NDArray[np.object_]
"""[B, H]; objects are integers and floats, where actions are numbered and real ones together."""
Draw = Callable[..., float]
"""Gives the next random number; None stands for the most probable action."""
Source = Literal["uniform", "normal", "beta", "none"]
"""What kind of random numbers a draw takes; for `beta` it is called with alpha and beta."""

MASKED = -1e38
"""Logits below mask an action: where -inf is meant, frameworks write -3.4e38, float32's end."""


class NotFinite(ValueError):
    """Distribution inputs from which no distribution follows."""


class Wording(Protocol):
    """Puts what a family decides into the words of the contract."""

    @property
    def one(self) -> Callable[[Any, Any], Answer]:
        """The Prediction of an action of H numbers, and its probability or density."""

    def batch(self, actions: Actions, logs: Array | None) -> list[Answer]:
        """The Prediction of each of [B, H] actions, of the log-probabilities float64[B]."""

    def distributions(self, inputs: Array) -> list[Answer]:
        """The Distribution of each row of float64[B, W], without its entropy."""


class Family(ABC):
    """A family of distributions over actions; a network's output selects one of them.

    A family is a class of this kind in a file of its own, and a name in the registry. `numbered`
    and `real` have what all families of one kind of action share.

    Args:
        sizes: Actions of each head, or dimensions of each component.

    Attributes:
        name: By which descriptions of networks call it.
        kind: What its actions are, as the contract has it; the specification follows from that.
        likelihood: What a Prediction calls how likely its action is.
        readings: What the network's numbers stand for; the first is offered where nothing says
            how an output is read.
        parameters: Numbers that `model.yaml` may give it by these names; it takes them as keywords.
        source: The random numbers that one draw takes.
        is_output: The action is the network's output, number for number.
        action_range: Between which numbers all its actions lie, if there are bounds for all.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    likelihood: ClassVar[str]
    readings: ClassVar[tuple[Reading, ...]]
    parameters: ClassVar[tuple[str, ...]] = ()
    source: Source = "none"
    is_output: ClassVar[bool] = False
    action_range: ClassVar[tuple[float, float] | None] = None

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(sizes)

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """H, how many numbers make one action."""

    @property
    @abstractmethod
    def action_sizes(self) -> tuple[int, ...]:
        """How many actions each of the H numbers has, 0 for a dimension; empty if not counted."""

    @property
    def input_width(self) -> int:
        """W, how many distribution inputs make one distribution."""
        return sum(self.sizes)

    @abstractmethod
    def check(self, inputs: Array) -> None:
        """Raise NotFinite if a row of float64[B, W] makes no distribution."""

    @abstractmethod
    def sample(self, inputs: Array, rng: np.random.Generator) -> Actions:
        """Draw [B, H] actions; row by row from `rng`, so that a batch begins like its first."""

    @abstractmethod
    def mode(self, inputs: Array) -> Actions:
        """The most probable [B, H] actions."""

    def mode_terms(self) -> Terms | None:
        """How each number of `mode` follows from W inputs; None where no rule says it."""
        return None

    @abstractmethod
    def decide(
        self, row: Sequence[float], draw: Draw | None
    ) -> tuple[Sequence[int] | Sequence[float], float | None]:
        """Decide on one row of W inputs in plain Python: NumPy's calls would cost more.

        The same formulas as for a batch; tests hold the two together.

        Args:
            row: The distribution inputs.
            draw: Gives random numbers; None takes the most probable action.

        Returns:
            The action, and its joint probability or density; None where it has none.

        Raises:
            NotFinite: No distribution follows from the inputs.
        """

    @abstractmethod
    def log_probability(self, inputs: Array, actions: Actions) -> Array | None:
        """Joint log probability or density, float64[B], of [B, H] actions; None without one."""

    @abstractmethod
    def entropy(self, inputs: Array) -> Array | None:
        """Joint entropy in nats, float64[B]; None where it has none."""

    def forbid(self, inputs: Floats, allowed: NDArray[np.bool_], sizes: Sequence[int]) -> Floats:
        """Inputs from which no forbidden action follows; as they are, where none is numbered.

        Args:
            inputs: float32[B, W].
            allowed: bool[B, M], what a mask allows of the actions of all heads, side by side; one
                at least of each head.
            sizes: How many actions each head has, 0 for a dimension.
        """
        return inputs

    @abstractmethod
    def wording(self, as_tuple: bool, output_mapper: OutputMapper) -> Wording:
        """How its decisions are worded.

        Args:
            as_tuple: The contract speaks of several components.
            output_mapper: What action numbers mean.
        """

    @abstractmethod
    def meaning_faults(self, output_mapper: OutputMapper) -> list[str] | None:
        """What is wrong with the meanings of actions; None where actions have no meanings."""

    # Golden cases: what training recorded is compared with what this family gives.

    def recorded(
        self, quantity: str, inputs: Array, output_mapper: OutputMapper
    ) -> NDArray[Any] | None:
        """What this family gives for a quantity of golden cases.

        Args:
            quantity: `actions`, `entropy`, `probabilities`, `meanings`, `means` or
                `standard_deviations`.
            inputs: float64[B, W].
            output_mapper: What action numbers mean.

        Returns:
            [B, K] or [B]; None where this family has no such quantity.
        """
        if quantity == "actions":
            return self.mode(inputs)
        return self.entropy(inputs) if quantity == "entropy" else None

    def can_take(self, actions: Array) -> bool:
        """All of float64[B, H] are actions of this family."""
        return True

    @abstractmethod
    def shortfall(self, inputs: Array, actions: Array) -> Array:
        """By how much actions fall short of the most probable ones, float64[B, H].

        0 for the most probable action and for one as probable; infinite for one that cannot be.
        """

    def shortfall_words(self, expected: float, found: float, shortfall: float) -> str:
        """How a recorded action differs from the one that is found, as the end of a sentence."""
        return f": the difference is {abs(found - expected):.3g}."

    # Recognition: which family an output of a model selects from.

    @classmethod
    def has_reading(cls, word: str) -> bool:
        """A word of `model.yaml` means this family, or one that shares the word with it."""
        return any(each.word == word for each in cls.readings)

    @classmethod
    @abstractmethod
    def may_be(cls, output: Output) -> bool:
        """The numbers of an output do not rule out that it is read so."""

    @classmethod
    def recognises(cls, output: Output, kind: Kind) -> bool:
        """The numbers of an output alone say that it is read so, in a contract of that kind."""
        return False

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        """So many numbers for actions of these declared sizes can be read in no other way."""
        return False

    @classmethod
    @abstractmethod
    def check_policy(cls, output: Output) -> None:
        """Raise UploadRejected for an output that is none of a policy with actions of this kind."""

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        """Raise UploadRejected where an output cannot be what `model.yaml` says.

        Args:
            output: Of the model.
            word: The reading that is declared, one of this family.
        """
        cls.check_policy(output)
        if output.integer:
            fact = f"`{output.name}` holds whole numbers: the action itself, `reads: actions`."
            raise UploadRejected(contradicted(word, fact))

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        """The sizes with which all numbers of an output make one head, or one component.

        Raises:
            UploadRejected: There are none.
        """
        return (output.width,)

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        """The actions that an output stands for, where no draws prove more.

        Args:
            output: Of the model.
            heads: How many numbers make one action that the model draws; None where it draws none.

        Raises:
            UploadRejected: The model's draws have another number of dimensions.
        """
        sizes = cls.whole(output)
        return Stated(sizes, cls(sizes).dimensions)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        """Sizes under which a model's own draws may be as probable as it says, likely ones first.

        None for a family that states no probabilities, and for one that is only ever declared.
        """
        return iter(())

    @classmethod
    def telling(cls, actions: Array) -> NDArray[np.bool_]:
        """Draws float64[B, H] whose log-probabilities a model can state exactly: bool[B]."""
        return np.ones(len(actions), dtype=bool)

    @classmethod
    def has_too_many(cls, drawn: Drawn) -> bool:
        """There are more candidates than can be tried, so sizes are to be declared."""
        return False

    @classmethod
    def unlike(cls, drawn: Drawn, by: str) -> str | None:
        """Why a model's own draws are not of this family; None for draws of another kind.

        Args:
            drawn: What it drew.
            by: How far log-probabilities differ, and how far they may, in words.
        """
        return None

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        """What draws proved: this family with these sizes, in words."""
        return f"{cls.name} of {', '.join(map(str, sizes))}"
