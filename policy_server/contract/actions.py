"""The action space of a contract: what clients are promised of every action.

A policy decides by a family of distributions, which clients never see. What they see is its kind of
action: numbered or real, one or several at once. Everything that follows from that for a contract
stands here: the settings that say it, the words for it, its part of the specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policy_server.contract import action_definitions
from policy_server.resources import COMMAND


class Kind(StrEnum):
    """What one action is, in words."""

    NUMBERED = "numbered"
    REAL = "real numbers"


_DISCRETE: Mapping[Kind, bool] = {Kind.NUMBERED: True, Kind.REAL: False}
"""The value of DISCRETE_ACTIONS for each kind."""
_DEFINITIONS = {
    Kind.NUMBERED: action_definitions.NUMBERED,
    Kind.REAL: action_definitions.REAL,
}


@dataclass(frozen=True)
class ActionSettings:
    """What the settings, a command or a schema says of actions; None where it is silent.

    Attributes:
        tuple: An action has several components: TUPLE, or `tuple` of a schema's parameters.
        discrete: Actions are numbered: DISCRETE_ACTIONS, or `discrete`.
    """

    tuple: bool | None = None
    discrete: bool | None = None

    def before(self, other: "ActionSettings") -> "ActionSettings":
        """These settings, and those of `other` where these are silent."""
        return ActionSettings(
            other.tuple if self.tuple is None else self.tuple,
            other.discrete if self.discrete is None else self.discrete,
        )


@dataclass(frozen=True)
class ActionSpace:
    """What clients are promised of an action.

    Attributes:
        kind: What each of its components is.
        tuple: An action has several components.
    """

    kind: Kind = Kind.NUMBERED
    tuple: bool = False

    @classmethod
    def of(cls, settings: ActionSettings) -> "ActionSpace":
        """What settings make; one numbered action where they are silent."""
        kind = Kind.REAL if settings.discrete is False else Kind.NUMBERED
        return cls(kind, bool(settings.tuple))

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "ActionSpace":
        """The space whose attributes these are, as JSON has them."""
        return cls(Kind(fields["kind"]), fields["tuple"])

    @property
    def settings(self) -> ActionSettings:
        """The settings that make this space, none of them open."""
        return ActionSettings(self.tuple, _DISCRETE[self.kind])

    @property
    def digested(self) -> str:
        """What a contract's digest is made of; the versions in a store depend on every letter."""
        return f"{_DISCRETE[self.kind]} {self.tuple}"

    @property
    def words(self) -> str:
        """The space in words: `tuples of discrete actions`."""
        kind = "discrete" if _DISCRETE[self.kind] else "continuous"
        return f"tuples of {kind} actions" if self.tuple else f"{kind} actions"

    @property
    def have_meanings(self) -> bool:
        """An output mapper may give actions meanings."""
        return self.kind is Kind.NUMBERED

    @property
    def prediction(self) -> str:
        """The specification's definition of a Prediction, below its type: YAML."""
        definitions = _DEFINITIONS[self.kind]
        return definitions.predictions if self.tuple else definitions.prediction

    @property
    def distribution(self) -> str:
        """The definition of a Distribution, and of what it is made of: YAML."""
        return _DEFINITIONS[self.kind].distribution

    @property
    def doubt(self) -> str:
        """What the contract says actions are, and what to do if a model's are something else."""
        discrete = _DISCRETE[self.kind]
        (other,) = (kind for kind in Kind if kind is not self.kind)
        return (
            f"The contract's actions are {self.kind} (DISCRETE_ACTIONS={discrete}); if those of "
            f"the model are {other}, set DISCRETE_ACTIONS={not discrete} and make the contract "
            "again"
        )

    def contradiction(self, kind: Kind, heads: int | None) -> str | None:
        """Why a model's actions are not those of this space, and which setting is wrong.

        Args:
            kind: What they are.
            heads: How many numbers make one action; None where that is not known.

        Returns:
            Sentences; None where nothing contradicts.
        """
        again = f"run `{COMMAND} schema` again"
        if kind is not self.kind:
            discrete = _DISCRETE[kind]
            return (
                f"The model's actions are {kind}, the contract has "
                f"DISCRETE_ACTIONS={not discrete}: set DISCRETE_ACTIONS={discrete} and {again}."
            )
        if kind is Kind.REAL or heads is None:  # real numbers may be several without a tuple
            return None
        if heads > 1 and not self.tuple:
            return (
                f"The model decides on {heads} heads at once, the contract has TUPLE=False: "
                f"set TUPLE=True and {again}."
            )
        if heads == 1 and self.tuple:
            return (
                "The model decides on one action, the contract has TUPLE=True: "
                f"set TUPLE=False and {again}."
            )
        return None
