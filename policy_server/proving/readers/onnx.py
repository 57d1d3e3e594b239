"""From an uploaded ONNX file to what is served of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from policy_server.contract.contract import Contract
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.registry import ENGINES, ONNXRUNTIME
from policy_server.policy.families.recognition import Output
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving import ml_agents
from policy_server.proving.built_model import (
    BuiltModel,
    describe,
    proof_outputs,
)
from policy_server.proving.heads import stated_actions
from policy_server.proving.joined import Joined
from policy_server.proving.onnx_file import read_onnx, value_words
from policy_server.proving.onnx_memory import check_found, with_memory
from policy_server.proving.onnx_metadata import described_by, metadata_of, metadata_words
from policy_server.proving.onnx_model import OnnxUpload
from policy_server.proving.readers.reader import Inspection, ModelUpload, Reader
from policy_server.proving.reading import listed, named_output, only_output, read

FIELDS = (1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26)
"""Of a ModelProto."""
NUMBERS = (1, 5)
"""Of these, those that hold a number: the version of the format, and that of the model."""
CONTINUES = 0x80
"""In the first byte of a number that goes on in the next."""
VARINT, LENGTH = 0, 2
"""How protobuf writes a number, and texts and messages."""


def is_onnx(head: bytes) -> bool:
    """A file begins with a field that an ONNX model has; ONNX has no mark of its own."""
    one, two = head[0], head[1] if len(head) > 1 else 0
    key = one if one < CONTINUES else one - CONTINUES | two << 7
    return any(key == field << 3 | (VARINT if field in NUMBERS else LENGTH) for field in FIELDS)


def _read(upload: ModelUpload) -> BuiltModel:
    """Reduce an ONNX file to the output that is served."""
    upload.progress("reading the ONNX file")
    contract, file = upload.contract, read_onnx(upload.file)
    agents = ml_agents.described(file.graph, upload.description, contract.actions)
    metadata, outputs = metadata_of(file), [str(each.name) for each in file.graph.output]
    certain = described_by(metadata, outputs, agents)
    description = with_memory(file, certain, _served(file.graph, certain.output))
    model = OnnxUpload(file, description.output, description.of_inputs, upload.known)
    target = upload.folder / ENGINES[ONNXRUNTIME].file
    name = named_output(model.outputs, model.declared)
    output = _unnamed(model, target, contract) if name is None else _tried(model, name, target)
    if isinstance(description.output, Joined) and description.output.are_heads:
        output = replace(output, parts=_widths(model, description.output, target))
    elif agents is not upload.description:
        output = replace(output, parts=(output.width,))  # of an only branch
    read_as = read(output, description.reading, contract.actions)
    reduced = model.reduce(output.name, target)
    if certain.memory is None and description.memory is not None:
        check_found(reduced.layout, reduced.original, reduced.features)
    actions = stated_actions(output, read_as)
    detail = f"ONNX Runtime runs the uploaded network's output `{output.name}`"
    if words := metadata_words(metadata):
        detail += f"; {words}"
    layout = reduced.layout
    if layout.words:
        detail += f"; {layout.words}"
    described = describe(ONNXRUNTIME, layout.feature_width, output, actions, detail)
    described = replace(described, takes_fields=layout.takes_fields, memory=layout.memory)
    return BuiltModel(described, reduced.engine, upload.folder, reduced.original)


def _served(graph: Any, declared: str | Joined | None) -> list[str]:
    """The outputs that are declared, or else have a name that says what they hold."""
    if isinstance(declared, Joined):
        return declared.names
    name = named_output([value.name for value in graph.output], declared)
    return [] if name is None else [name]


def _tried(model: OnnxUpload, name: str, target: Path) -> Output:
    """An output and what it is for the proof inputs."""
    reduced = model.reduce(name, target)
    rows = proof_outputs(reduced.engine, name, reduced.features)
    if drawing := model.drawing(name):
        raise UnusableModel(
            f"its output `{name}` is drawn by the network itself ({drawing}): what it is drawn "
            "from is wanted, such as the logits."
        )
    return Output(name, model.is_integer(name), rows[:, : reduced.width])


def _widths(model: OnnxUpload, joined: Joined, target: Path) -> tuple[int, ...]:
    """How many numbers each of several outputs has."""
    widths = []
    for name in joined.names:
        reduced = model.reduce(name, target)
        widths.append(reduced.width)
    return tuple(widths)


def _unnamed(model: OnnxUpload, target: Path, contract: Contract) -> Output:
    """The output that is served where none has a name that tells."""
    tried: list[Output] = []
    faults: list[Exception] = []
    for name in model.outputs:
        if not (model.is_integer(name) or model.is_real(name)):
            continue
        try:
            tried.append(_tried(model, name, target))
        except (UploadRejected, UnusableModel, EngineFailed, ValueError) as error:
            # Outputs beside the policy's, such as a state or a constant, need not be servable.
            faults.append(error)
    if tried:
        return only_output(tried, contract.actions)
    if faults:
        raise faults[0]
    raise UploadRejected(
        f"No output of the ONNX file ({listed(model.outputs)}) holds numbers that follow from the "
        "observations: export the logits as `logits`, mean and log standard deviation side by side "
        "as `mean_log_std`, or values of actions as `q_values`."
    )


def _inspect(upload: ModelUpload) -> Inspection:
    model = read_onnx(upload.file)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    return Inspection(
        f"ONNX, by {model.producer_name[:100] or 'nobody who says so'}",
        [value_words(value) for value in inputs],
        [value_words(value) for value in model.graph.output],
        metadata_of(model),
    )


ONNX = Reader(is_onnx, _read, _inspect)
