"""What the inputs of a SavedModel are given that do not take the observation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
