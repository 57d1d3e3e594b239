"""Masks: fields of an observation that say which actions are allowed in it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from policy_server.contract.declared_actions import DeclaredActions
from policy_server.contract.fields.field import Field, Value


@dataclass(frozen=True)
class Mask:
    """A field of booleans, true where an action is allowed.

    Attributes:
        field: Its name.
        index: Its place among the fields of the schema.
        heads: Which heads it masks, one after the other.
        sizes: How many actions each of them has.
    """

    field: str
    index: int
    heads: range
    sizes: tuple[int, ...]

    def allow_something(self, values: list[Value], rng: np.random.Generator) -> None:
        """Allow an action of each head in which a random mask forbids all."""
        start = 0
        for size in self.sizes:
            if not any(values[start : start + size]):
                values[start + int(rng.integers(size))] = True
            start += size


def masks_of(fields: Mapping[str, Field], actions: DeclaredActions | None) -> tuple[Mask, ...]:
    """The masks among the fields of an observation, in the order of the actions."""
    found = []
    for index, (name, field) in enumerate(fields.items()):
        if field.mask_of is not None and actions is not None:
            heads = actions.heads_of(field.mask_of)
            sizes = tuple(actions.sizes[head] for head in heads)
            found.append(Mask(name, index, heads, sizes))
    return tuple(sorted(found, key=lambda mask: mask.heads.start))


def mask_faults(fields: Mapping[str, Field], actions: DeclaredActions | None) -> dict[str, str]:
    """What is wrong with the masks among the fields, by their names."""
    faults: dict[str, str] = {}
    masked: dict[str, str] = {}
    for name, field in fields.items():
        action = field.mask_of
        if action is None:
            continue
        fault = _fault(name, field, action, actions)
        if fault is None and action in masked:
            fault = f"`{masked[action]}` is a mask of `{action}` already: keep one of them."
        if fault is not None:
            faults[name] = fault
        masked[action] = name
    return faults


def _fault(name: str, field: Field, action: str, actions: DeclaredActions | None) -> str | None:
    if actions is None or action not in actions.fields:
        return f"`{name}` is a mask of `{action}`, which is none of the declared actions."
    sizes = [actions.sizes[head] for head in actions.heads_of(action)]
    if not all(sizes):
        return f"`{name}` is a mask of `{action}`, which is no numbered action."
    if not field.leaf.is_truth or field.feature_width != sum(sizes):
        return (
            f"`{name}` is a mask of `{action}`: a list of {sum(sizes)} booleans is wanted, one for "
            "each of its actions."
        )
    default = field.default
    if isinstance(default, list) and not all(
        any(default[sum(sizes[:head]) : sum(sizes[: head + 1])]) for head in range(len(sizes))
    ):
        return f"the default of `{name}` allows no action."
    return None
