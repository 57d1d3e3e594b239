"""A model that lies on an inference server: it is found out what it is, and nothing is built."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from policy_server.contract.tensors import DATATYPES
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.registry import ENGINES, OPEN_INFERENCE
from policy_server.policy.engines.served_model import ServedModel, Tensor
from policy_server.policy.families.recognition import Output
from policy_server.policy.saved_model import UnusableModel
from policy_server.policy.timing import MAX_BATCH
from policy_server.proving.built_model import (
    WIDE,
    BuiltModel,
    describe,
    proof_features,
    proof_outputs,
    recorded_rows,
)
from policy_server.proving.heads import stated_actions
from policy_server.proving.readers.reader import Inspection, ModelUpload, Reader
from policy_server.proving.reading import listed, named_output, only_output, read
from policy_server.proving.server_reference import (
    EXAMPLE,
    FILE,
    Reference,
    is_reference,
    read_reference,
)

BATCHES = (MAX_BATCH, 256, 64, 16, 8, 4, 2, 1)
"""Rows of one request that are tried: servers and models have limits of their own."""
WIDE_ROWS = 64
NUMBERS = ("FP16", "FP32", "FP64")


class _Tried(NamedTuple):
    output: Output
    model: ServedModel
    engine: Engine


def _read(upload: ModelUpload) -> BuiltModel:
    """Find out what the model is, and record what it gives."""
    declared = _declared_output(upload)
    upload.progress("asking the inference server")
    reference = read_reference(upload.file)
    model, outputs = _known(reference, upload)
    name = named_output([each.name for each in outputs], declared)
    chosen = [each for each in outputs if name in (None, each.name)]
    upload.progress("running it on random inputs")
    tried = _tried(upload, model, chosen)
    output = tried[0].output
    if name is None:
        output = only_output([each.output for each in tried], upload.contract.actions)
    _, model, engine = next(each for each in tried if each.output is output)
    read_as = read(output, upload.description.reading, upload.contract.actions)
    actions = stated_actions(output, read_as)
    _record(upload, model, engine, output.width)
    described = describe(
        OPEN_INFERENCE, engine.feature_width, output, actions, f"{_words(model)} runs the network"
    )
    return BuiltModel(described, engine, upload.folder)


def _declared_output(upload: ModelUpload) -> str | None:
    """The declared output; what only a network can do that is built here is refused."""
    description = upload.description
    if description.inputs or description.normalise:
        raise UploadRejected(
            "`inputs` and `normalise` in model.yaml are written into a network that is built, and "
            "this one runs on another server: say it in preprocessing.yaml."
        )
    if description.memory is not None:
        raise UploadRejected(
            "`memory` in model.yaml is written into a network that is built, and this one runs on "
            "another server: upload the network itself."
        )
    if description.output is not None and not isinstance(description.output, str):
        raise UploadRejected(
            "Several outputs are served as one in a network that is built, and this one runs on "
            "another server: lay them side by side there."
        )
    return description.output


def _known(reference: Reference, upload: ModelUpload) -> tuple[ServedModel, list[Tensor]]:
    """The model with its version and its input, and the outputs that may be served."""
    model = reference.model
    (upload.folder / ENGINES[OPEN_INFERENCE].file).mkdir(exist_ok=True)
    _write(upload, model)
    found = upload.engines.inspect(OPEN_INFERENCE)
    versions = list(found["versions"])
    if not model.version and len(versions) > 1:
        lines = " or ".join(f'`version: "{each}"`' for each in versions)
        raise UploadRejected(
            f"The inference server has several versions of the model: write {lines} into {FILE}."
        )
    if not model.version and versions:
        model = msgspec.structs.replace(model, version=versions[0])
    inputs = [reference.input] if reference.input else _tensors(found["inputs"])
    if len(inputs) != 1:
        have = listed([each.name for each in inputs]) or "none that it tells"
        raise UploadRejected(
            f"The model takes the inputs {have}, and one input of numbers is wanted. Where it has "
            f"one, write `input: {EXAMPLE}` into {FILE}."
        )
    outputs = [reference.output] if reference.output else _tensors(found["outputs"])
    outputs = [each for each in outputs if each.datatype in DATATYPES and each.shape]
    if not outputs:
        raise UploadRejected(
            f"The inference server tells of no output of numbers: write `output: {EXAMPLE}` into "
            f"{FILE}."
        )
    return msgspec.structs.replace(model, input=_sound(inputs[0])), outputs


def _tensors(found: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    return [msgspec.convert(each, Tensor) for each in found]


def _sound(tensor: Tensor) -> Tensor:
    """An input of numbers whose sizes are known, but for that of the batch."""
    shape = tensor.shape
    sizes = shape[1:] if len(shape) > 1 else shape
    if tensor.datatype not in DATATYPES:
        raise UploadRejected(
            f"The model's input `{tensor.name}` is {tensor.datatype}: numbers are wanted."
        )
    if not sizes or min(sizes) < 1:
        raise UploadRejected(
            f"The shape {list(shape)} of the model's input `{tensor.name}` leaves open how many "
            f"features it takes: write `input: {EXAMPLE}` into {FILE}, with what is right."
        )
    if len(shape) > 1 and shape[0] not in (-1, 1):
        raise UploadRejected(
            f"The model's input `{tensor.name}` takes {shape[0]} rows, no more and no fewer: one, "
            "or any number, is wanted."
        )
    return tensor


def _tried(upload: ModelUpload, model: ServedModel, outputs: Sequence[Tensor]) -> list[_Tried]:
    """Each output that gives numbers, with the model as it is asked for it."""
    assert model.input is not None
    shape = model.input.shape
    width = math.prod(shape[1:] if len(shape) > 1 else shape)
    features = proof_features(width)
    tried: list[_Tried] = []
    faults: list[Exception] = []
    for tensor in outputs:
        try:
            asked, engine = _most_rows(upload, msgspec.structs.replace(model, output=tensor), width)
            rows = proof_outputs(engine, tensor.name, features)
        except (UnusableModel, EngineFailed) as error:
            # Outputs beside the policy's need not be servable.
            faults.append(error)
        else:
            output = Output(tensor.name, tensor.datatype not in NUMBERS, rows)
            tried.append(_Tried(output, asked, engine))
    if not tried:
        raise faults[0]
    return tried


def _most_rows(upload: ModelUpload, model: ServedModel, width: int) -> tuple[ServedModel, Engine]:
    """The model with as many rows in one request as it takes, and its engine."""
    assert model.input is not None
    assert model.output is not None
    output = model.output.name
    one = len(model.input.shape) == 1 or model.input.shape[0] == 1
    batches = (1,) if one else BATCHES[BATCHES.index(WIDE_ROWS) :] if width > WIDE else BATCHES
    for rows in batches:
        model = msgspec.structs.replace(model, rows=rows)
        _write(upload, model)
        engine = upload.engines.load(OPEN_INFERENCE, output)
        features = proof_features(width)
        repeated = features[[row % len(features) for row in range(rows)]]
        with contextlib.suppress(EngineFailed) if rows > 1 else contextlib.nullcontext():
            engine.run(repeated)
            break
    return model, engine


def _record(upload: ModelUpload, model: ServedModel, engine: Engine, width: int) -> None:
    """Save how it is asked, how much it answers, and by what it is known again."""
    assert model.input is not None
    assert model.output is not None
    shape = (-1, width) if len(model.input.shape) > 1 else (width,)
    output = msgspec.structs.replace(model.output, shape=shape)
    _write(upload, msgspec.structs.replace(model, output=output))
    rows = recorded_rows(proof_features(engine.feature_width))
    Recorded(rows, engine.run(rows)).write(upload.folder / ENGINES[OPEN_INFERENCE].file)


def _write(upload: ModelUpload, model: ServedModel) -> None:
    model.write(upload.folder / ENGINES[OPEN_INFERENCE].file)


def _words(model: ServedModel) -> str:
    version = f", version {model.version}," if model.version else ""
    rows = f"{model.rows} rows" if model.rows > 1 else "one row"
    return (
        f"the model `{model.model}`{version} of the inference server `{model.server}`, {rows} at a "
        "time,"
    )


def _inspect(upload: ModelUpload) -> Inspection:
    reference = read_reference(upload.file)
    (upload.folder / ENGINES[OPEN_INFERENCE].file).mkdir(exist_ok=True)
    _write(upload, reference.model)
    found = upload.engines.inspect(OPEN_INFERENCE)
    inputs, outputs = (
        [f"{each.name}: {each.datatype} {list(each.shape)}" for each in _tensors(found[name])]
        for name in ("inputs", "outputs")
    )
    return Inspection(f"{_words(reference.model)} which says what it is", inputs, outputs)


INFERENCE_SERVER = Reader(is_reference, _read, _inspect)
