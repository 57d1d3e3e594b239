"""How large a tensor of an ONNX network can be, and its numbers where these are always the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from policy_server.proving.onnx_file import onnx_package

MOST_VALUES = 4096
"""Numbers of a tensor that are followed; sizes and counters have a few."""
WIDEST_BYTES = 16
"""Of a number of whatever type."""


@dataclass(frozen=True)
class Extent:
    """What is known of a tensor before the network runs.

    Attributes:
        kind: Of its numbers, one of ONNX's TensorProto.DataType.
        sizes: The most along each axis; None where not even the number of axes is known.
        most: The most numbers that it can have.
        exact: `sizes` are those that it has, whatever the observation says.
        value: Its numbers, where they do not depend on the observation and are few.
    """

    kind: int
    sizes: tuple[int, ...] | None
    most: int
    exact: bool = True
    value: NDArray[Any] | None = None

    @classmethod
    def of(cls, kind: int, sizes: Sequence[int], *, exact: bool = True) -> "Extent":
        """A tensor of at most these sizes."""
        return cls(kind, tuple(sizes), math.prod(sizes), exact)

    @classmethod
    def of_value(cls, value: NDArray[Any]) -> "Extent":
        """A tensor whose numbers are known."""
        kind = onnx_package().helper.np_dtype_to_tensor_dtype(value.dtype)
        extent = cls.of(kind, value.shape)
        return replace(extent, value=value) if value.size <= MOST_VALUES else extent

    @classmethod
    def of_tensor(cls, tensor: Any) -> "Extent":
        """A weight of the file."""
        if math.prod(tensor.dims) <= MOST_VALUES:
            return cls.of_value(onnx_package().numpy_helper.to_array(tensor))
        return cls.of(tensor.data_type, tensor.dims)

    @property
    def bytes(self) -> int:
        """The most that it can take."""
        try:
            dtype = onnx_package().helper.tensor_dtype_to_np_dtype(self.kind)
        except (KeyError, TypeError):
            return self.most * WIDEST_BYTES
        return self.most * max(1, int(dtype.itemsize))

    @property
    def number(self) -> int | None:
        """The only number of the tensor, as a whole one; None where it is not known."""
        if self.value is None or self.value.size != 1:
            return None
        return int(self.value.reshape(-1)[0])

    @property
    def unvalued(self) -> "Extent":
        """The same, of whatever numbers."""
        return replace(self, value=None)

    def type_proto(self) -> Any:
        """This as ONNX says it."""
        onnx = onnx_package()
        return onnx.helper.make_tensor_type_proto(self.kind, self.sizes)
