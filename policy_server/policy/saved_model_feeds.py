"""What a SavedModel is given beside the observation, and what it gives beside its output."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Draws:
    """What the model itself drew.

    Attributes:
        actions: One array an output, as the model gives them: [B], [B, heads] or [B, dimensions].
        log_probability: float32[B], joint; None where the model does not say.
    """

    actions: list[NDArray[Any]]
    log_probability: NDArray[np.float32] | None


def neutral(tensor: Any, batch: int, fill: int) -> NDArray[Any]:
    """The value that an input has when nothing is said, in the input's shape and type."""
    sizes = tensor.shape.as_list() if tensor.shape.rank is not None else []
    shape = [batch if index == 0 else size or 1 for index, size in enumerate(sizes)]
    return np.full(shape, fill, dtype=tensor.dtype.as_numpy_dtype)


def others(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Other values of an input: ones for zeros and the reverse; random ones of real numbers."""
    yield np.asarray(np.logical_not(values), dtype=values.dtype)
    if np.issubdtype(values.dtype, np.floating):
        rng = np.random.default_rng(0)
        for scale in (1.0, 10.0):
            yield np.asarray(scale * rng.standard_normal(values.shape), dtype=values.dtype)
