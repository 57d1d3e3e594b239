"""What is known of features before a model is read: which field makes which, and valid rows."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.field import Field
from policy_server.contract.schema import ObservationSchema
from policy_server.policy.features import Features


@dataclass(frozen=True)
class FieldFeatures:
    """The features of one field.

    Attributes:
        numbers: Which they are.
        shape: Sizes of the arrays that they came from.
    """

    numbers: range
    shape: tuple[int, ...]


@dataclass(frozen=True)
class KnownFeatures:
    """What a build knows of the features that the network will be given.

    Attributes:
        fields: The features of each field; empty where an uploaded preprocessor makes them, or the
            width of a field varies.
        rows: Gives float32[B, F] of random valid observations; None where there are none yet.
    """

    fields: Mapping[str, FieldFeatures] = field(default_factory=dict)
    rows: Callable[[], Features | None] = lambda: None

    @property
    def width(self) -> int | None:
        """F; None where it is not known yet."""
        rows = self.rows()
        return None if rows is None else rows.shape[1]

    def stacked(self, frames: int) -> "KnownFeatures":
        """What is known of so many observations side by side."""

        def tiled() -> Features | None:
            rows = self.rows()
            return None if rows is None else np.tile(rows, (1, frames))

        return KnownFeatures(rows=tiled)


def fields_of(schema: ObservationSchema) -> dict[str, FieldFeatures]:
    """The features of each field, by the schema alone; empty where a width varies."""
    found: dict[str, FieldFeatures] = {}
    start = 0
    for name, each in schema.featured.items():
        width = each.feature_width
        if width is None:
            return {}
        found[name] = FieldFeatures(range(start, start + width), _shape(each, width))
        start += width
    return found


def _shape(each: Field, width: int) -> tuple[int, ...]:
    if isinstance(each, EncodedArray):
        return each.sizes
    sizes = []
    while isinstance(each, Array):
        sizes.append(each.min_items)
        each = each.items
    rest = width // max(math.prod(sizes), 1)
    return (*sizes, rest) if rest != 1 else tuple(sizes)
