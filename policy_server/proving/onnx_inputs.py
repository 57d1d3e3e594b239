"""Rewrites an ONNX graph so that it takes one input: features float32[B, F]."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.input_description import Normalisation
from policy_server.proving.network_inputs import Layout, NetworkInput
from policy_server.proving.onnx_file import onnx_package, type_word
from policy_server.proving.shares import Share, State

NEWEST = 18
"""Of ONNX's operations, for a graph that uses none of them itself."""
CLIP_TAKES_INPUTS = 11
"""The first version of ONNX's operations in which Clip has its limits as inputs."""
SPLIT_TAKES_INPUTS = 13
"""Likewise of Split, and the sizes of its parts."""


def input_names(graph: Any) -> set[str]:
    """Names of the inputs of a graph that are not weights."""
    return {str(value.name) for value in graph.input} - {each.name for each in graph.initializer}


def network_inputs(graph: Any, names: Collection[str]) -> list[NetworkInput]:
    """Those inputs of a graph that have one of some names.

    Raises:
        UnusableModel: One takes no numbers.
    """
    return [_input(value) for value in graph.input if value.name in names]


def axes_of(value: Any) -> tuple[int | None, ...] | None:
    """Sizes of the axes of an input or output, None where one is open; None without a shape."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(axis.dim_value if axis.dim_value > 0 else None for axis in tensor.shape.dim)


def _input(value: Any) -> NetworkInput:
    onnx = onnx_package()
    kind = value.type.tensor_type.elem_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except KeyError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise UnusableModel(f"its input `{value.name}` takes no numbers, but {type_word(kind)}.")
    return NetworkInput(str(value.name), dtype, axes_of(value))


def united(model: Any, layout: Layout, *, opened: bool, width: int = 0) -> Any:
    """A copy of a model with one input of features.

    Where there is memory, the input has the state behind the features, and the output the next
    state behind what is served.

    Args:
        model: ONNX's ModelProto, of one output, and of those that give the next states.
        layout: What its inputs take.
        opened: Take any number of rows; one row otherwise.
        width: W, the numbers that are served for each row; only needed where there is memory.
    """
    copy = type(model).FromString(model.SerializeToString())
    graph = copy.graph
    if layout.is_plain:
        source = layout.shares[0].name
        value = next(each for each in graph.input if each.name == source)
        if layout.batch is None:
            return copy  # the engine runs it row by row
        axes = value.type.tensor_type.shape.dim
        if not axes:
            axes.add(), axes.add()
        axes[1].dim_value = layout.width
    else:
        _Rewriter(copy).unite(layout, width)
        axes = graph.input[0].type.tensor_type.shape.dim
    if opened and layout.batch == 0:
        axes[0].dim_param = axes[0].dim_param or "batch"
    elif opened:
        axes[0].dim_param = "batch"
        for size in graph.output[0].type.tensor_type.shape.dim[:1]:
            size.dim_param = "batch"
        graph.ClearField("value_info")
    else:
        axes[0].dim_value = 1
    return copy


class _Rewriter:
    """Puts nodes before and behind those of a graph, in place.

    Args:
        model: ONNX's ModelProto.
    """

    def __init__(self, model: Any) -> None:
        self._onnx = onnx = onnx_package()
        self._graph = model.graph
        self._nodes: list[Any] = []
        self._names = set(_names(model.graph))
        versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
        if not versions:
            model.opset_import.append(onnx.helper.make_opsetid("", NEWEST))
        self._opset = versions[0] if versions else NEWEST

    def unite(self, layout: Layout, width: int) -> None:
        """Lead features to the inputs of a layout, which are inputs no more.

        Args:
            layout: What the inputs take.
            width: As `united` takes it.
        """
        graph, helper = self._graph, self._onnx.helper
        source = self._fresh("features")
        shape = ["batch", layout.row_width]
        value = helper.make_tensor_value_info(source, self._onnx.TensorProto.FLOAT, shape)
        features, frames = self._taken(source, layout)
        for share in layout.shares:
            self._lead(features, share, layout)
        for each in layout.filled:
            self._fill(source, each, layout)
        before, self._nodes = self._nodes, []
        if layout.memory is not None:
            self._give(layout, frames, width)
        taking = (*layout.shares, *layout.states)
        fed = {share.name for share in taking} | {each.name for each in layout.filled}
        kept = [each for each in graph.input if each.name not in fed]
        nodes = [*before, *graph.node, *self._nodes]
        for field, values in (("input", [value, *kept]), ("node", nodes)):
            copies = [type(each).FromString(each.SerializeToString()) for each in values]
            graph.ClearField(field)
            getattr(graph, field).extend(copies)
        graph.ClearField("value_info")

    def _taken(self, row: str, layout: Layout) -> tuple[str, str]:
        """The features that the inputs take, and the frames of the next step, if there are any."""
        sizes = [layout.feature_width, *(state.width for state in layout.states)]
        if layout.stack is not None:
            sizes.append(layout.width - layout.feature_width)
        features, *carried = self._parts(row, sizes)
        for name, state in zip(carried, layout.states, strict=False):
            self._lead_state(name, state)
        frames, statistics = "", layout.normalise
        if layout.normalises_frames and statistics is not None:
            features = self._normalised(features, statistics)
        if layout.stack is not None:
            features = self._node("Concat", [carried[0], features], axis=1)
            frames = self._parts(features, sizes)[1]
        if statistics is not None and not layout.normalises_frames:
            features = self._normalised(features, statistics)
        return features, frames

    def _parts(self, row: str, sizes: list[int]) -> list[str]:
        """A row in parts of these sizes."""
        if len(sizes) == 1:
            return [row]
        names = [self._fresh("part") for _ in sizes]
        if self._opset < SPLIT_TAKES_INPUTS:
            self._several("Split", [row], names, axis=1, split=sizes)
        else:
            numbers = self._constant(np.array(sizes, np.int64))
            self._several("Split", [row, numbers], names, axis=1)
        return names

    def _lead_state(self, carried: str, state: State) -> None:
        """Make the name of an input that of the state which it takes."""
        if state.dtype.kind in "iu":
            carried = self._clipped(carried, *state.limits)
        if state.dtype != np.float32:
            carried = self._cast(carried, state.dtype)
        axis = state.batch_axis
        shape = self._constant(np.array([*([] if axis is None else [0]), *state.shape], np.int64))
        if not axis:
            self._node("Reshape", [carried, shape], state.name)
            return
        rows_first = self._node("Reshape", [carried, shape])
        order = [*range(1, axis + 1), 0, *range(axis + 1, len(state.shape) + 1)]
        self._node("Transpose", [rows_first], state.name, perm=order)

    def _give(self, layout: Layout, frames: str, width: int) -> None:
        """Make one output of what is served and of the next state."""
        served, onnx = self._graph.output[0], self._onnx
        parts = [self._rows(served.name, width, served)]
        values = {value.name: value for value in self._graph.output}
        for state in layout.states:
            name, axis = state.output, state.batch_axis
            if axis:
                others = [place for place in range(len(state.shape) + 1) if place != axis]
                name = self._node("Transpose", [name], perm=[axis, *others])
            parts.append(self._rows(name, state.width, values[state.output]))
        parts += [frames] * bool(frames)
        name = self._node("Concat", parts, self._fresh("outputs"), axis=1)
        wide = width + layout.row_width - layout.feature_width
        output = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", wide])
        self._graph.ClearField("output")
        self._graph.output.append(output)

    def _rows(self, name: str, width: int, value: Any) -> str:
        """An output as float32[B, width]."""
        if value.type.tensor_type.elem_type != self._onnx.TensorProto.FLOAT:
            name = self._cast(name, np.dtype(np.float32))
        return self._node("Reshape", [name, self._constant(np.array([-1, width], np.int64))])

    def _normalised(self, features: str, statistics: Normalisation) -> str:
        """As `Normalisation.of`: in float64, as the frameworks compute it, then float32."""
        wide = self._cast(features, np.dtype(np.float64))
        centred = self._node("Sub", [wide, self._constant(statistics.mean)])
        scaled = self._node("Div", [centred, self._constant(statistics.scale)])
        narrow = self._cast(scaled, np.dtype(np.float32))
        clip = statistics.clip
        return narrow if clip is None else self._clipped(narrow, -clip, clip)

    def _lead(self, features: str, share: Share, layout: Layout) -> None:
        """Make the name of an input that of the features which it takes."""
        taken = features
        if not np.array_equal(share.numbers, np.arange(layout.width)):
            numbers = self._constant(share.numbers.astype(np.int64))
            taken = self._node("Gather", [features, numbers], axis=1)
        if share.dtype.kind in "iu":
            taken = self._clipped(taken, *share.limits)
        if share.dtype != np.float32:
            taken = self._cast(taken, share.dtype)
        # 0 stands for the size that is there: the batch.
        shape = [*([] if layout.batch is None else [0]), *share.shape]
        self._node("Reshape", [taken, self._constant(np.array(shape, np.int64))], share.name)

    def _fill(self, features: str, each: NetworkInput, layout: Layout) -> None:
        """Make the name of an input that of what it is filled with."""
        value = np.array([each.filling], each.dtype)
        if not layout.counts_rows(each):
            self._weight(each.name, np.full(layout.filling(each, 1).shape, value[0]))
            return
        shape = self._node("Shape", [features])
        rows = self._node("Gather", [shape, self._constant(np.zeros(1, np.int64))], axis=0)
        rest = [size or 1 for size in (each.axes or ())[1:]]
        sizes = self._node("Concat", [rows, self._constant(np.array(rest, np.int64))], axis=0)
        self._node("Expand", [self._constant(value), sizes], each.name)

    def _clipped(self, numbers: str, low: float, high: float) -> str:
        if self._opset < CLIP_TAKES_INPUTS:
            return self._node("Clip", [numbers], min=float(low), max=float(high))
        limits = [self._constant(np.array(limit, np.float32)) for limit in (low, high)]
        return self._node("Clip", [numbers, *limits])

    def _cast(self, numbers: str, dtype: np.dtype[Any]) -> str:
        return self._node("Cast", [numbers], to=self._onnx.helper.np_dtype_to_tensor_dtype(dtype))

    def _node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        output = output or self._fresh(kind.lower())
        self._several(kind, inputs, [output], **attributes)
        return output

    def _several(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        name = self._fresh(f"{kind}_of_inputs")
        node = self._onnx.helper.make_node(kind, inputs, outputs, name, **attributes)
        self._nodes.append(node)

    def _constant(self, values: NDArray[Any]) -> str:
        name = self._fresh("constant")
        self._weight(name, values)
        return name

    def _weight(self, name: str, values: NDArray[Any]) -> None:
        self._graph.initializer.append(self._onnx.numpy_helper.from_array(values, name))

    def _fresh(self, name: str) -> str:
        """The name, or one like it that the graph does not have."""
        count, fresh = 0, name
        while fresh in self._names:
            count += 1
            fresh = f"{name}_{count}"
        self._names.add(fresh)
        return fresh


def _names(graph: Any) -> list[str]:
    """All names of a graph and of those in it."""
    found = [each.name for each in (*graph.input, *graph.output, *graph.initializer)]
    for node in graph.node:
        found += [node.name, *node.input, *node.output]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found += _names(inner) if inner.node else []
    return found
