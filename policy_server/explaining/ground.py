"""What real observations say of imagined ones: which are possible, and what follows from them."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from policy_server.contract.dependence import dependents
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.schema import Observation
from policy_server.explaining.places import Path, moved

Key = tuple[str, ...]
Imagine: TypeAlias = Callable[[Mapping[Path, Value]], Observation | None]
"""An observation with other values at some places; None where it is not known as possible."""


@dataclass(frozen=True)
class Ground:
    """Real observations that keep imagined ones possible, where some fields of one are moved.

    What depends on a moved field, as the schema says, is taken from a real observation that has the
    same there: of several, from the one that is most like the observation which is held.

    Attributes:
        fields: Of the schema.
        held: The observation of which fields are moved.
        moved: Names of these fields.
        rows: Real observations.
    """

    fields: Mapping[str, Field]
    held: Observation
    moved: frozenset[str]
    rows: Sequence[Observation]

    @cached_property
    def followers(self) -> list[str]:
        """The fields that follow: they depend on what is moved, and are not moved themselves."""
        return [name for name in dependents(self.fields, self.moved) if name not in self.moved]

    @cached_property
    def causes(self) -> list[str]:
        """What a real observation must have in common with an imagined one.

        That is what the followers depend on, and what a moved field depends on with that field.
        """
        bound = [name for name in self.moved if self.fields[name].depends_on]
        common = {*bound}
        for name in (*self.followers, *bound):
            common |= {*self.fields[name].depends_on}
        return [name for name in self.fields if name in common and name not in self.followers]

    @cached_property
    def _nearest(self) -> dict[Key, Observation]:
        """For what there is to have in common, the real observation that is most like the held."""
        found: dict[Key, tuple[int, Observation]] = {}
        for row in self.rows:
            alike = sum(row.get(name) == self.held.get(name) for name in self.fields)
            key = _key(row, self.causes)
            if key not in found or alike > found[key][0]:
                found[key] = alike, row
        return {key: row for key, (_, row) in found.items()}

    def possible(self, imagined: Observation) -> Observation | None:
        """An imagined observation with what follows from it; None where no real one is known."""
        if not self.causes:
            return imagined
        row = self._nearest.get(_key(imagined, self.causes))
        if row is None:
            return None
        kept = {name: value for name, value in imagined.items() if name not in self.followers}
        return kept | {name: row[name] for name in self.followers if name in row}


def alone(held: Observation) -> Imagine:
    """Whatever is moved moves alone, possible or not."""
    return lambda values: moved(held, values)


def kept_valid(
    fields: Mapping[str, Field], held: Observation, rows: Sequence[Observation]
) -> Imagine:
    """What depends on what is moved follows it, as real observations have it.

    Args:
        fields: Of the schema.
        held: Where nothing is moved.
        rows: Real observations.
    """
    grounds: dict[frozenset[str], Ground] = {}

    def imagine(values: Mapping[Path, Value]) -> Observation | None:
        imagined = moved(held, values)
        if imagined == held:
            return held
        names = frozenset(str(first) for first, *_ in values)
        if names not in grounds:
            grounds[names] = Ground(fields, held, names, rows)
        return grounds[names].possible(imagined)

    return imagine


def _key(observation: Observation, names: Collection[str]) -> Key:
    return tuple(json.dumps(observation.get(name)) for name in names)
