"""From an uploaded SavedModel to what is served of it."""

import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.registry import (
    ENGINES,
    ONNXRUNTIME,
    TENSORFLOW,
    TENSORFLOW_SERVING,
)
from policy_server.policy.families.recognition import Output
from policy_server.policy.families.registry import FAMILIES, sure_names
from policy_server.policy.saved_model import SavedModel, UnusableModel
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.built_model import (
    BuiltModel,
    describe,
    proof_features,
    proof_outputs,
)
from policy_server.proving.heads import Actions, Evidence, derive_actions, stated_actions
from policy_server.proving.joined import Joined
from policy_server.proving.readers.reader import Inspection, ModelUpload, Reader
from policy_server.proving.reading import listed, named_output, only_output, read
from policy_server.proving.saved_model_join import join
from policy_server.proving.saved_model_memory import with_memory
from policy_server.proving.saved_model_served import convert, original_of, why_not_itself
from policy_server.proving.saved_model_states import (
    carried_of,
    check_reset,
    following_of,
    memory_of,
    proof_rows,
)
from policy_server.proving.stateless import check_stateless
from policy_server.proving.tensorflow_serving import serve_reduced
from policy_server.proving.tf_agents import read_specs

MIN_DRAWS = 32
TF_AGENTS = "0/step_type"
"""An input of every policy that TF-Agents saves, and of no other."""


def is_zip(head: bytes) -> bool:
    """A file begins as a zip does; one without a SavedModel is refused when it is unpacked."""
    return head.startswith(b"PK")


def _read(upload: ModelUpload) -> BuiltModel:
    """Reduce a SavedModel to the output that is served, and convert that."""
    upload.progress("unpacking the model")
    original = upload.folder / ENGINES[TENSORFLOW].file
    unpack_saved_model(upload.file, original, upload.limits)
    upload.progress("loading TensorFlow and the model")
    model = SavedModel(original)
    specs = read_specs(original)
    upload = replace(upload, description=specs.described([*model.outputs], upload.description))
    try:
        built = _built(model, upload)
    except UnusableModel as error:
        if TF_AGENTS not in model.inputs:
            raise
        raise UnusableModel(
            f"it is a TF-Agents policy (PolicySaver), and {error} Save the policy that acts "
            "without chance, `PolicySaver(GreedyPolicy(policy)).save(folder)`: its "
            "`action` is served as the action itself."
        ) from error
    if words := specs.words(upload.contract.actions):
        detail = f"{built.description.engine_detail}; {words}"
        built.description = replace(built.description, engine_detail=detail)
    return built


def _built(model: SavedModel, upload: ModelUpload) -> BuiltModel:
    if upload.description.inputs:
        raise UploadRejected(
            "`inputs` in model.yaml is read of ONNX files, and this is a SavedModel. Make one of "
            "it: `python -m tf2onnx.convert --saved-model FOLDER --output policy.onnx`."
        )
    declared = upload.description.output
    description = with_memory(model, upload.description, proof_features(model.feature_width))
    model.carried = carried_of(model, description)
    memory, rows = memory_of(model, description), proof_rows(model)
    if isinstance(declared, Joined):
        output = _joined(model, declared, rows)
    else:
        output = _chosen(model, upload, rows, following_of(description))
    model.output_name = output.name
    if TF_AGENTS in model.inputs and memory is not None and not memory.initial:
        check_reset(model, rows)
    upload.progress("comparing its own draws with the distribution")
    actions = _actions(model, output, rows, upload)
    upload.progress("converting the network and proving it")
    upload = replace(upload, description=description)
    width = model.carried.feature_width(model.feature_width)
    original, name = original_of(model, description), TENSORFLOW_SERVING
    engine, detail = serve_reduced(model, original, upload, rows, memory is not None)
    if engine is None:
        why = detail
        engine, detail = convert(original, model, upload, rows, output.width)
        name, detail = TENSORFLOW if engine is None else ONNXRUNTIME, detail + why
    described = replace(describe(name, width, output, actions, detail), memory=memory)
    model.carried.write(upload.folder / ENGINES[TENSORFLOW].file)
    unconverted = why_not_itself(model, description, detail)
    if engine is not None:
        fallback = TENSORFLOW if unconverted is None else None
        return BuiltModel(described, engine, upload.folder, original, fallback)
    if unconverted is not None:
        raise UploadRejected(unconverted)
    return BuiltModel(described, model, upload.folder)


def _chosen(
    model: SavedModel, upload: ModelUpload, features: Floats, following: Collection[str]
) -> Output:
    """The output that is served: declared, named, proven by draws, or the only possible one.

    Args:
        model: Has it.
        upload: What is declared, and the contract.
        features: float32[B, F + S], to try outputs with.
        following: Names of outputs that give the next states.
    """
    declared = upload.description.output
    assert not isinstance(declared, Joined)
    kinds = {name: kind for name, kind in model.kinds().items() if name not in following}
    name = named_output(list(kinds), declared)
    if name is not None:
        return _tried(model, name, features)
    tried = []
    faults: list[UnusableModel | EngineFailed] = []
    for each, (kind, rank) in kinds.items():
        if kind != "other" and rank in (1, 2):
            try:
                tried.append(_tried(model, each, features))
            except (UnusableModel, EngineFailed) as error:
                # Draws and outputs beside the policy's need not be servable.
                faults.append(error)
    if "action_logp" in kinds and model.action_outputs:
        for output in tried:
            if not output.integer and output.width > 1 and _proves(model, output, features):
                return output
    if tried:
        return only_output(tried, upload.contract.actions)
    if faults:
        raise faults[0]
    raise UnusableModel(
        "no output holds the distribution inputs (logits, or mean and log standard deviation): "
        f"there are {listed(sorted(kinds))}. Export them as `logits` or `mean_log_std`."
    )


def _joined(model: SavedModel, joined: Joined, features: Floats) -> Output:
    """Several outputs as one that the model now has as well."""
    for name in joined.names:
        named_output(list(model.kinds()), name)
    widths = []
    if joined.are_heads:
        widths = [_tried(model, name, features).width for name in joined.names]
    join(model, joined)
    return replace(_tried(model, joined.name, features), parts=tuple(widths))


def _tried(model: SavedModel, name: str, features: Floats) -> Output:
    """An output and what it is for the proof inputs."""
    model.output_name = name
    kind, _ = model.kinds()[name]
    rows = proof_outputs(model, name, features)
    check_stateless(model, features)
    if drawing := model.drawing():
        raise UnusableModel(
            f"its output `{name}` is drawn by the network itself ({drawing}): what it is drawn "
            "from is wanted, such as the logits."
        )
    width = rows.shape[1] - model.carried.width(model.feature_width)
    return Output(name, kind == "integer", rows[:, :width])


def _proves(model: SavedModel, output: Output, features: Floats) -> bool:
    """The model's own draws follow from this output."""
    try:
        evidence = _evidence(model, output, features)
        derive_actions(evidence, bool(model.actions_are_integers))
    except (UploadRejected, UnusableModel):
        return False
    return True


def _actions(model: SavedModel, output: Output, features: Floats, upload: ModelUpload) -> Actions:
    """What the actions of the output are: the model's own draws first, if it has any."""
    names = {*model.action_outputs, *sure_names()}
    drawn = model.actions_are_integers is not None and output.name not in names
    if drawn and "action_logp" in model.outputs:
        evidence = _evidence(model, output, features)
        actions = derive_actions(evidence, bool(model.actions_are_integers))
        if actions.sizes is None:
            evidence.write(upload.folder)
        declared = upload.description.reads
        if declared and not FAMILIES[actions.family].has_reading(declared):
            raise UploadRejected(
                f"model.yaml says `reads: {declared}`, but the model's own draws prove "
                f"{actions.detail}: leave `reads` out."
            )
        if parameters := upload.description.parameters:
            raise UploadRejected(
                f"model.yaml gives {listed([*parameters])}, but the model's own draws prove "
                f"{actions.detail}: leave it out."
            )
        return actions
    read_as = read(output, upload.description.reading, upload.contract.actions)
    if not drawn:
        return stated_actions(output, read_as)
    evidence = _evidence(model, output, features)
    actions = stated_actions(output, read_as, evidence.actions.shape[1])
    if actions.sizes is None:
        evidence.write(upload.folder)
    return actions


def _evidence(model: SavedModel, output: Output, features: Floats) -> Evidence:
    """What the model draws itself, beside the output that it draws from."""
    model.output_name = output.name
    # Draws and inputs from one run would be best; the network is deterministic, so two will do.
    sound = ~np.isnan(output.rows).any(axis=1)  # a network need not answer to features at random
    rows = len(output.rows)
    if sound.sum() < MIN_DRAWS:
        raise UnusableModel(
            f"its output `{output.name}` is no number for {rows - sound.sum()} of {rows} random "
            "inputs."
        )
    return Evidence.of(model.draw(features[sound]), output.rows[sound].astype(np.float64))


def _inspect(upload: ModelUpload) -> Inspection:
    with tempfile.TemporaryDirectory(dir=upload.folder) as folder:
        unpack_saved_model(upload.file, Path(folder) / "saved_model", upload.limits)
        model = SavedModel(Path(folder) / "saved_model")
        kind = "a policy of TF-Agents" if TF_AGENTS in model.inputs else "TensorFlow's"
        specs = read_specs(Path(folder) / "saved_model")
        return Inspection(
            f"SavedModel, {kind}",
            model.words_of(model.inputs),
            model.words_of(model.outputs),
            specs.metadata,
            specs.bounds,
        )


SAVED_MODEL = Reader(is_zip, _read, _inspect)
