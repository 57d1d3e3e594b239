"""An uploaded ONNX file, reduced to what leads from the observations to one output."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.registry import ONNXRUNTIME, load_engine
from policy_server.proving.built_model import PROOF_TOLERANCE, compare, differs
from policy_server.proving.input_description import InputDescription
from policy_server.proving.input_shares import lay_out
from policy_server.proving.joined import Joined
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.memory_shares import other_axes
from policy_server.proving.network_inputs import Layout
from policy_server.proving.onnx_allowed import check_operations
from policy_server.proving.onnx_graph import handed_through, needed, operations
from policy_server.proving.onnx_inputs import axes_of, input_names, network_inputs, united
from policy_server.proving.onnx_join import join
from policy_server.proving.onnx_memory import carrying
from policy_server.proving.onnx_original import OnnxOriginal
from policy_server.proving.onnx_served import write_served
from policy_server.proving.onnx_types import INTEGER_TYPES, REAL_TYPES
from policy_server.proving.reading import named_output

TRIAL_STEP = 16
"""Of the proof's features each such row tells whether a batch can be opened."""
DRAWING = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}


@dataclass(frozen=True)
class ReducedNetwork:
    """What leads from the features to one output.

    Attributes:
        engine: Runs it.
        original: Runs it with its own inputs; None where these are the features themselves.
        features: float32[B, F + S], rows to prove it with.
        layout: What its inputs take.
    """

    engine: Engine
    original: Engine | None
    features: Floats
    layout: Layout

    @property
    def width(self) -> int:
        """W, the numbers that are served for each row."""
        carried = self.layout.row_width - self.layout.feature_width
        return int(self.engine.run(self.features[:1]).shape[1]) - carried


class OnnxUpload:
    """An uploaded ONNX file.

    Attributes:
        outputs: Names of all its outputs that the network computes, in their order.
        declared: Name of the output that is to be served, if anybody says so.

    Args:
        model: ONNX's ModelProto, of the file.
        declared: What is to be served, if anybody says so: an output, or several as one.
        described: What is declared of its inputs.
        known: What is known of the features that it will be given.

    Raises:
        UploadRejected: It is not sound ONNX, or needs what is not served.
    """

    def __init__(
        self,
        model: Any,
        declared: str | Joined | None = None,
        described: InputDescription | None = None,
        known: KnownFeatures | None = None,
    ) -> None:
        self._described = described or InputDescription()
        self._known = known or KnownFeatures()
        self._model = model
        if isinstance(declared, Joined):
            self._check_joined(declared)
            join(self._model, declared)
            declared = declared.name
        self.declared = declared
        graph = self._model.graph
        inputs = input_names(graph)
        # A state that is handed through is no output of the network's; its only input may be.
        beside = inputs if len(inputs) > 1 else set()
        idle = {name for source in beside for name in handed_through(graph, source)}
        idle |= {pair.output for pair in self._described.pairs}
        self.outputs = [name for name in _output_names(self._model) if name not in idle]

    def _check_joined(self, joined: Joined) -> None:
        """Raise UploadRejected unless the model has all these outputs, and they hold numbers."""
        names = _output_names(self._model)
        for name in joined.names:
            named_output(names, name)
            if not (self.is_integer(name) or self.is_real(name)):
                raise UploadRejected(
                    f"model.yaml names the output `{name}`, which holds no numbers."
                )

    def is_integer(self, output: str) -> bool:
        """An output's numbers are whole by their type."""
        (value,) = (value for value in self._model.graph.output if value.name == output)
        return value.type.tensor_type.elem_type in INTEGER_TYPES

    def is_real(self, output: str) -> bool:
        """An output's numbers are real by their type."""
        (value,) = (value for value in self._model.graph.output if value.name == output)
        return value.type.tensor_type.elem_type in REAL_TYPES

    def drawing(self, output: str) -> str:
        """Operations that draw random numbers on the way to an output; empty without any."""
        names = needed(self._model.graph, {output})
        return ", ".join(sorted(operations(self._model.graph, names) & DRAWING))

    def reduce(self, output: str, target: Path) -> ReducedNetwork:
        """Write and load what leads from the features to one output.

        A batch that the export fixed is opened if the network's rows then stay the same; a network
        of one row is run row by row otherwise.

        Raises:
            Undeclared: Nothing says which features an input takes.
            UploadRejected: The output follows from no features, or its batch cannot be opened.
            EngineFailed: ONNX Runtime cannot run it.
        """
        model = type(self._model).FromString(self._model.SerializeToString())
        pairs = carrying(model.graph, output, self._described.pairs)
        _reduce(model, [output, *(pair.output for pair in pairs)])
        check_operations(model)
        # Before, every weight had to be an input as well.
        model.ir_version = max(model.ir_version, 4)
        needed_inputs, axes = input_names(model.graph), axes_of(model.graph.output[0])
        # What is declared of inputs that only other outputs need counts as well.
        names = needed_inputs | (self._described.inputs.keys() & input_names(self._model.graph))
        inputs = network_inputs(self._model.graph, names)
        described = replace(self._described, memory=self._described.stack or pairs)
        layout = lay_out(inputs, axes, described, self._known).of_inputs(needed_inputs)
        features = layout.proof_features(self._known)
        original = None
        if not layout.is_plain or layout.batch:
            original = OnnxOriginal(model.SerializeToString(), layout)
            original.check_filled(features[::TRIAL_STEP])
        engine = _engine(model, layout, original, features[::TRIAL_STEP], target)
        if layout.is_plain:
            original = None
        return ReducedNetwork(engine, original, features, layout)


def _engine(
    model: Any, layout: Layout, original: Engine | None, features: Floats, target: Path
) -> Engine:
    """What runs a network of one input, for any number of rows if it can."""
    width = 0
    if original is not None:
        width = original.run(features[:1]).shape[1] + layout.feature_width - layout.row_width
    if layout.batch == 0:
        write_served(united(model, layout, opened=True, width=width), target, layout.row_width)
        engine = load_engine(ONNXRUNTIME, target.parent)
        if original is not None and (far := compare(engine, original, features)) > PROOF_TOLERANCE:
            raise EngineFailed(f"with its inputs made of features, {differs(far)}")
        return engine
    if original is not None and layout.batch is not None:
        for each in other_axes(layout):
            with contextlib.suppress(EngineFailed, ValueError, UploadRejected):
                opened = united(model, each, opened=True, width=width)
                write_served(opened, target, layout.row_width)
                engine = load_engine(ONNXRUNTIME, target.parent)
                if compare(engine, original, features) <= PROOF_TOLERANCE:
                    return engine
        if layout.batch > 1:
            _refuse_batch(layout)
    # The graph counts on a batch of 1 somewhere, or has no such axis.
    write_served(united(model, layout, opened=False, width=width), target, layout.row_width)
    engine = load_engine(ONNXRUNTIME, target.parent)
    if layout.memory is None or original is None:
        return engine
    if (far := compare(engine, original, features)) > PROOF_TOLERANCE:
        raise EngineFailed(f"with its states behind its features, {differs(far)}")
    return engine


def _refuse_batch(layout: Layout) -> NoReturn:
    names = [share.name for share in layout.shares]
    shapes = ", ".join(f"`{each.name}` {[layout.batch, *each.shape]}" for each in layout.shares)
    axes = ", ".join(f"'{name}': {{0: 'batch'}}" for name in names)
    raise UploadRejected(
        f"The network's input has the shape {shapes}: its first axis is fixed at {layout.batch}, "
        "and with another number of rows the network does not run, or gives others for the same "
        f"observation. Export it with `dynamic_axes={{{axes}}}`, or with one observation."
    )


def _output_names(model: Any) -> list[str]:
    return [str(value.name) for value in model.graph.output]


def _reduce(model: Any, outputs: Sequence[str]) -> None:
    """Drop every output but some, which come in this order, and what only others need."""
    graph = model.graph
    names = needed(graph, {*outputs})
    nodes = [node for node in graph.node if names & set(node.output)]
    by_name = {value.name: value for value in graph.output}
    kept_outputs = [by_name[name] for name in outputs]
    initializers = [tensor for tensor in graph.initializer if tensor.name in names]
    constant = {tensor.name for tensor in initializers}
    inputs = [value for value in graph.input if value.name in names - constant]
    for field, values in (
        ("node", nodes),
        ("output", kept_outputs),
        ("input", inputs),
        ("initializer", initializers),
    ):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        graph.ClearField(field)
        getattr(graph, field).extend(copies)
