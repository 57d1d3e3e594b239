"""The action space of a contract: what clients are promised of every action.

A policy decides by a family of distributions, which clients never see. What they see is its kind of
action: numbered, real or both, one or several at once. Everything that follows from that for a
contract stands here: the settings that say it, the words for it, its part of the specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from policy_server.contract import action_definitions
from policy_server.contract.declared_actions import DeclaredActions
from policy_server.resources import COMMAND


class Kind(StrEnum):
    """What an action is, in words."""

    NUMBERED = "numbered"
    REAL = "real numbers"
    MIXED = "numbered and real numbers together"


_DISCRETE: Mapping[Kind, bool | None] = {Kind.NUMBERED: True, Kind.REAL: False, Kind.MIXED: None}
"""The value of DISCRETE_ACTIONS for each kind; mixed ones have to be declared instead."""
_DEFINITIONS = {
    Kind.NUMBERED: action_definitions.NUMBERED,
    Kind.REAL: action_definitions.REAL,
    Kind.MIXED: action_definitions.MIXED,
}
_ADJECTIVES = {Kind.NUMBERED: "discrete", Kind.REAL: "continuous", Kind.MIXED: "mixed"}


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
        kind: What its components are.
        tuple: An action has several components.
        declared: The actions that the schema declares; None where it declares none.
    """

    kind: Kind = Kind.NUMBERED
    tuple: bool = False
    declared: DeclaredActions | None = None

    @classmethod
    def of(cls, settings: ActionSettings, declared: DeclaredActions | None = None) -> "ActionSpace":
        """What settings and the declared actions of a schema make.

        Args:
            settings: They fit the declared actions, see `contradictions`.
            declared: Without any, silent settings mean one numbered action.
        """
        if declared is None:
            kind = Kind.REAL if settings.discrete is False else Kind.NUMBERED
            return cls(kind, bool(settings.tuple))
        several = settings.tuple or not declared.single
        return cls(_kind_of(declared), several, declared)

    @staticmethod
    def contradictions(settings: ActionSettings, declared: DeclaredActions) -> list[str]:
        """How settings contradict declared actions, in sentences."""
        kind = _kind_of(declared)
        discrete, count = _DISCRETE[kind], len(declared.components)
        faults = []
        if settings.discrete not in (None, discrete):
            remedy = "leave `discrete` (DISCRETE_ACTIONS) out"
            faults.append(f"the declared actions are {kind}: {remedy}.")
        if settings.tuple is False and not declared.single:
            remedy = "leave `tuple` (TUPLE) out"
            faults.append(f"the declared actions are {count} at once, a tuple: {remedy}.")
        return faults

    @property
    def settings(self) -> ActionSettings:
        """The settings that make this space, as far as the declared actions do not."""
        if self.declared is None:
            return self.implied
        return ActionSettings(True if self.tuple and self.declared.single else None)

    @property
    def implied(self) -> ActionSettings:
        """The settings that would make this space without declared actions."""
        return ActionSettings(self.tuple, _DISCRETE[self.kind])

    @property
    def sizes(self) -> Sequence[int] | None:
        """How many actions each component has, 0 for a dimension; None where nobody says."""
        return None if self.declared is None else self.declared.sizes

    @property
    def digested(self) -> str:
        """What a contract's digest is made of; the versions in a store depend on every letter."""
        declared = "" if self.declared is None else f" {self.declared.digested}"
        return f"{_DISCRETE[self.kind]} {self.tuple}{declared}"

    @property
    def words(self) -> str:
        """The space in words: `tuples of discrete actions`."""
        adjective = _ADJECTIVES[self.kind]
        return f"tuples of {adjective} actions" if self.tuple else f"{adjective} actions"

    @property
    def have_meanings(self) -> bool:
        """An output mapper may give actions meanings."""
        return self.kind is Kind.NUMBERED

    @property
    def prediction(self) -> str:
        """The specification's definition of a Prediction, below its type: YAML."""
        definitions = _DEFINITIONS[self.kind]
        definition = definitions.predictions if self.tuple else definitions.prediction
        return definition if self.declared is None else action_definitions.with_values(definition)

    @property
    def distribution(self) -> str:
        """The definition of a Distribution, and of what it is made of: YAML."""
        return _DEFINITIONS[self.kind].distribution

    @property
    def doubt(self) -> str:
        """What the contract says actions are, and what to do if a model's are something else."""
        if self.declared is not None:
            return f"The schema declares actions that are {self.kind}"
        discrete = _DISCRETE[self.kind]
        other = Kind.REAL if self.kind is Kind.NUMBERED else Kind.NUMBERED
        return (
            f"The contract's actions are {self.kind} (DISCRETE_ACTIONS={discrete}); if those of "
            f"the model are {other}, set DISCRETE_ACTIONS={not discrete} and make the contract "
            "again"
        )

    def contradiction(self, kind: Kind, heads: int | None, sizes: Sequence[int]) -> str | None:
        """Why a model's actions are not those of this space, and what is wrong.

        Args:
            kind: What they are.
            heads: How many numbers make one action; None where that is not known.
            sizes: How many actions each component has, 0 for a dimension; empty where that is not
                known.

        Returns:
            Sentences; None where nothing contradicts.
        """
        if self.declared is not None:
            return self._unlike_declared(kind, heads, sizes)
        again = f"run `{COMMAND} schema` again"
        discrete = _DISCRETE[kind]
        if discrete is None and kind is not self.kind:
            return (
                f"The model's actions are {kind}: declare them in the schema, as `actions`, and "
                f"{again}."
            )
        if kind is not self.kind:
            return (
                f"The model's actions are {kind}, the contract has "
                f"DISCRETE_ACTIONS={not discrete}: set DISCRETE_ACTIONS={discrete} and {again}."
            )
        if kind is not Kind.NUMBERED or heads is None or heads == 1:
            return None  # real numbers may be several without a tuple, and a tuple may have one
        if not self.tuple:
            return (
                f"The model decides on {heads} heads at once, the contract has TUPLE=False: "
                f"set TUPLE=True and {again}."
            )
        return None

    def _unlike_declared(self, kind: Kind, heads: int | None, sizes: Sequence[int]) -> str | None:
        assert self.declared is not None
        remedy = "mend the actions in the schema, or upload the model that they were written for"
        if kind is not self.kind:
            return f"The model's actions are {kind}, the schema declares {self.kind}: {remedy}."
        components = self.declared.components
        if (heads or len(components)) != len(components):
            return (
                f"One action of the model is {heads} number{'s' * (heads != 1)}, the schema "
                f"declares {len(components)}: {remedy}."
            )
        for component, size in zip(components, sizes, strict=False):
            if size != component.size:
                return (
                    f"The model decides among {size} actions where the schema declares "
                    f"{component.size} (`{component.place}`): {remedy}."
                )
        return None


def _kind_of(declared: DeclaredActions) -> Kind:
    if all(declared.sizes):
        return Kind.NUMBERED
    return Kind.MIXED if any(declared.sizes) else Kind.REAL
