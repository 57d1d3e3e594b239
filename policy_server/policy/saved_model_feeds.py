"""What a SavedModel is given beside the observation, and what it gives beside its output."""

from collections.abc import Iterable, Iterator
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
    """The value that an input has when nothing is said, in the input's shape and type.

    Its first open axis is that of the batch.
    """
    sizes = tensor.shape.as_list() if tensor.shape.rank is not None else []
    first = sizes.index(None) if None in sizes else 0
    shape = [batch if index == first else size or 1 for index, size in enumerate(sizes)]
    return np.full(shape, fill, dtype=tensor.dtype.as_numpy_dtype)


def others(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Other values of an input: ones for zeros and the reverse; random ones of real numbers."""
    yield np.asarray(np.logical_not(values), dtype=values.dtype)
    if np.issubdtype(values.dtype, np.floating):
        rng = np.random.default_rng(0)
        for scale in (1.0, 10.0):
            yield np.asarray(scale * rng.standard_normal(values.shape), dtype=values.dtype)


def ancestors(graph: Any, names: Iterable[str]) -> list[Any]:
    """All operations of a graph that tensors of some names follow from."""
    seen: dict[str, Any] = {}
    waiting = [graph.get_tensor_by_name(name).op for name in names]
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            seen[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs]
            waiting += list(operation.control_inputs)
    return list(seen.values())
