"""Lays several outputs of an ONNX graph side by side, as one output more."""

from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.joined import STANDARD_DEVIATION, Joined, Piece
from policy_server.proving.onnx_graph import needed
from policy_server.proving.onnx_types import FLOAT, INT64, INTEGER_TYPES

INT_ATTRIBUTE = 2
"""Of ONNX's AttributeProto.AttributeType."""
PREFIX = "policy_server/"
"""Begins the names of all that is added; no framework's names begin so."""


def join(model: Any, joined: Joined) -> None:
    """Add an output that holds the numbers of several others, in their order.

    Numbers that do not depend on the observation, such as a standard deviation that is a parameter,
    are repeated for each row, and for each dimension where there is only one.

    Args:
        model: ONNX's ModelProto; changed.
        joined: Which outputs; the model has all that are named.

    Raises:
        UploadRejected: Their widths do not go together.
    """
    _Join(model.graph, joined).write()


class _Join:
    def __init__(self, graph: Any, joined: Joined) -> None:
        self._graph = graph
        self._joined = joined
        self._outputs = {value.name: value for value in graph.output}
        weights = {tensor.name for tensor in graph.initializer}
        self._inputs = [value for value in graph.input if value.name not in weights]
        rank = min((len(each.type.tensor_type.shape.dim) for each in self._inputs), default=2)
        self._has_batch = rank > 1

    def write(self) -> None:
        self._check_widths()
        pieces = self._joined.pieces
        types = {self._type(piece) for piece in pieces}
        self._kind = types.pop() if len(types) == 1 else FLOAT
        self._constant("rows", [0, -1] if self._has_batch else [-1])
        self._constant("row", [1, -1] if self._has_batch else [-1])
        names: list[str] = []
        for index, piece in enumerate(pieces):
            names.append(self._laid_out(piece, f"{PREFIX}{index}", names[0] if names else ""))
        axis = {"axis": 1 if self._has_batch else 0}
        self._node("Concat", names, self._joined.name, axis)
        self._declare_output()

    def _laid_out(self, piece: Piece, name: str, first: str) -> str:
        """Nodes that make float32[B, A] of a piece; its width is that of the first one."""
        if isinstance(piece.source, str):
            source = piece.source
            depends = self._depends(source)
            if self._outputs[source].type.tensor_type.elem_type != self._kind:
                source = self._node("Cast", [source], f"{name}/cast", {"to": self._kind})
        else:
            source, depends = self._constant(name, list(piece.source), FLOAT), False
        if piece.role == STANDARD_DEVIATION:
            source = self._node("Log", [source], f"{name}/log")
        shape = f"{PREFIX}{'rows' if depends or not first else 'row'}"
        source = self._node("Reshape", [source, shape], f"{name}/shaped")
        if not first or self._joined.are_heads:
            return source
        like = self._node("Shape", [first], f"{name}/shape")
        return self._node("Expand", [source, like], f"{name}/expanded")

    def _depends(self, source: str) -> bool:
        return bool(needed(self._graph, {source}) & {value.name for value in self._inputs})

    def _type(self, piece: Piece) -> int:
        """The type of its numbers, where whole ones may stay whole; else float32."""
        if not isinstance(piece.source, str):
            return FLOAT
        kind = self._outputs[piece.source].type.tensor_type.elem_type
        return INT64 if kind in INTEGER_TYPES else FLOAT

    def _check_widths(self) -> None:
        if self._joined.are_heads:
            return
        first, *others = self._joined.pieces
        wanted = self._width(first)
        for piece in others:
            width = self._width(piece)
            if None not in (wanted, width) and width not in (1, wanted):
                raise UploadRejected(
                    f"model.yaml lays {first.words} and {piece.words} side by side, and they have "
                    f"{wanted} and {width} numbers: as many are wanted, or one for all."
                )

    def _width(self, piece: Piece) -> int | None:
        """How many numbers a piece has; None where the file leaves that open."""
        if not isinstance(piece.source, str):
            return len(piece.source)
        axes = self._outputs[piece.source].type.tensor_type.shape.dim
        if not axes:
            return None
        if len(axes) == 1 and self._has_batch and self._depends(piece.source):
            return 1
        return int(axes[-1].dim_value) or None

    def _declare_output(self) -> None:
        value = self._graph.output.add()
        value.name = self._joined.name
        tensor = value.type.tensor_type
        tensor.elem_type = self._kind
        first = self._outputs[str(self._joined.pieces[0].source)].type.tensor_type.shape.dim
        if self._has_batch:
            batch = tensor.shape.dim.add()
            if first and first[0].dim_value:
                batch.dim_value = first[0].dim_value
            else:
                batch.dim_param = "batch"
        width = tensor.shape.dim.add()
        widths = [self._width(each) for each in self._joined.pieces]
        if not self._joined.are_heads:
            widths = widths[:1] * len(widths)
        if None in widths:
            width.dim_param = "numbers"
        else:
            width.dim_value = sum(each or 0 for each in widths)

    def _node(
        self, operation: str, inputs: list[str], output: str, numbers: dict[str, int] | None = None
    ) -> str:
        node = self._graph.node.add()
        node.op_type = operation
        node.input.extend(inputs)
        node.output.append(output)
        for name, number in (numbers or {}).items():
            attribute = node.attribute.add()
            attribute.name, attribute.type, attribute.i = name, INT_ATTRIBUTE, number
        return output

    def _constant(self, name: str, numbers: list[Any], kind: int = INT64) -> str:
        tensor = self._graph.initializer.add()
        tensor.name = name if name.startswith(PREFIX) else f"{PREFIX}{name}"
        tensor.data_type = kind
        tensor.dims.append(len(numbers))
        (tensor.int64_data if kind == INT64 else tensor.float_data).extend(numbers)
        return str(tensor.name)
