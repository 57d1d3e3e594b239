"""An uploaded model to what is served of it: a small network, and facts about it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from policy_server.build.archive import unpack_saved_model
from policy_server.build.conversion import ConversionFailed, convert_to_onnx
from policy_server.build.heads import Actions, derive_actions
from policy_server.build.limits import BuildLimits
from policy_server.build.onnx_model import reduce_onnx
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engine import Engine, EngineName, Floats
from policy_server.policy.onnx_engine import OnnxEngine
from policy_server.policy.tensorflow_engine import SavedModel, TensorFlowEngine, UnusableModel

PROOF_TOLERANCE = 1e-4
PROOF_SCALES = (0.1, 1.0, 1.0, 10.0)
PROOF_ROWS = 64
"""Rows of features drawn at each of the scales."""
VALUE_OUTPUT = "q_values"
REFUSED_FORMATS = {
    b"\x80": "a pickle, which runs code of its author when it is loaded",
    b"\x89HDF": "an HDF5 file (Keras .h5)",
}


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model, whatever the other parts are.

    Attributes:
        feature_width: F, numbers that the network takes.
        output_width: W, distribution inputs that it puts out.
        actions: What it says of its actions.
        engine_detail: Why this engine serves it.
    """

    engine: EngineName
    feature_width: int
    output_width: int
    actions: Actions
    engine_detail: str

    def write(self, folder: Path) -> None:
        """Keep the facts in the model's folder."""
        (folder / "facts.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "ModelFacts":
        """Read the facts of a model's folder."""
        fields = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        actions = fields["actions"]
        sizes = tuple(actions["sizes"]) if actions["sizes"] is not None else None
        return cls(**{**fields, "actions": Actions(**{**actions, "sizes": sizes})})


class BuiltModel:
    """A model and, while it is being built, the original to compare it with.

    Attributes:
        facts: What is known of it.
        engine: What will serve it.
        original: The model as it was uploaded; None where the served one is the same.
    """

    def __init__(self, facts: ModelFacts, engine: Engine, original: Engine | None) -> None:
        self.facts = facts
        self.engine = engine
        self.original = original


def build_model(
    upload: Path, folder: Path, limits: BuildLimits, progress: Callable[[str], None]
) -> BuiltModel:
    """Build what serves a model.

    Args:
        upload: The file as it came, a zip of a SavedModel or ONNX.
        folder: The model's folder; gets `network.onnx` or `saved_model/`, and `facts.json`.
        limits: How much the archive may unpack to.
        progress: Told what is being done.

    Raises:
        UploadRejected: The file holds no policy that could be served.
    """
    head = upload.open("rb").read(4)
    if head.startswith(b"PK"):
        built = _build_saved_model(upload, folder, limits, progress)
    else:
        _refuse_known_formats(head)
        built = _build_onnx(upload, folder, progress)
    built.facts.write(folder)
    return built


def compare(served: Engine, original: Engine, features: Floats) -> float:
    """The largest difference between two engines' outputs, relative where they exceed 1."""
    ours, theirs = served.run(features), original.run(features)
    return float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)), initial=0.0))


def proof_features(width: int) -> Floats:
    """Random input vectors at several scales, float32[B, F]."""
    rng = np.random.default_rng(0)
    rows = [scale * rng.standard_normal((PROOF_ROWS, width)) for scale in PROOF_SCALES]
    return np.concatenate(rows).astype(np.float32)


def _refuse_known_formats(head: bytes) -> None:
    for start, what in REFUSED_FORMATS.items():
        if head.startswith(start):
            raise UploadRejected(
                f"The model is {what}. Export a TensorFlow SavedModel and zip it, or ONNX "
                "(`torch.onnx.export`)."
            )


def _build_onnx(upload: Path, folder: Path, progress: Callable[[str], None]) -> BuiltModel:
    progress("reading the ONNX file")
    engine, output = reduce_onnx(upload, folder / "network.onnx")
    if engine.feature_width < 1:
        raise UploadRejected(
            "The shape of the network's input is open: export it with a fixed one."
        )
    rows = engine.run(proof_features(engine.feature_width))
    actions = _stated_actions(output, rows.shape[1])
    detail = f"ONNX Runtime runs the uploaded network's output `{output}`"
    facts = ModelFacts("onnxruntime", engine.feature_width, rows.shape[1], actions, detail)
    return BuiltModel(facts, engine, None)


def _build_saved_model(
    upload: Path, folder: Path, limits: BuildLimits, progress: Callable[[str], None]
) -> BuiltModel:
    progress("unpacking the model")
    unpacked = folder / "saved_model"
    unpack_saved_model(upload, unpacked, limits)
    try:
        progress("loading TensorFlow and the model")
        model = SavedModel(unpacked)
        features = proof_features(model.feature_width)
        model.check_stateless(features)
        progress("comparing its own draws with the distribution")
        inputs = model.run(features)
        if not np.isfinite(inputs).any():
            raise UnusableModel("its outputs are not finite.")
        actions = _actions(model, features, inputs)
    except UnusableModel as error:
        raise UploadRejected(f"The model cannot be served: {error}") from error
    except EngineFailed as error:
        raise UploadRejected(f"The model cannot be run: {error}") from error
    progress("converting the network and proving it")
    engine, name, detail = _engine(model, folder / "network.onnx", features)
    facts = ModelFacts(name, model.feature_width, inputs.shape[1], actions, detail)
    if engine is None:
        return BuiltModel(facts, TensorFlowEngine(unpacked), None)
    shutil.rmtree(unpacked)
    return BuiltModel(facts, engine, model)


def _engine(
    model: SavedModel, path: Path, features: Floats
) -> tuple[OnnxEngine | None, EngineName, str]:
    try:
        convert_to_onnx(model, path)
        engine = OnnxEngine(path)
        difference = compare(engine, model, features)
    except (ConversionFailed, EngineFailed) as error:
        path.unlink(missing_ok=True)
        return None, "tensorflow", f"TensorFlow serves it: it cannot be converted ({error})"
    if not difference <= PROOF_TOLERANCE:
        path.unlink()
        detail = (
            f"TensorFlow serves it: converted, its output differs by {difference:.1e}, "
            f"{PROOF_TOLERANCE:.0e} is allowed"
        )
        return None, "tensorflow", detail
    detail = (
        f"ONNX Runtime runs the reduced network; on {len(features)} random inputs its output "
        f"agrees with TensorFlow's to {difference:.1e}"
    )
    return engine, "onnxruntime", detail


def _actions(model: SavedModel, features: Floats, inputs: Floats) -> Actions:
    integer = model.actions_are_integers
    if model.output_name == VALUE_OUTPUT or integer is None:
        return _stated_actions(model.output_name, inputs.shape[1])
    # Draws and inputs from one run would be best; the network is deterministic, so two will do.
    return derive_actions(model.draw(features), integer, inputs.astype(np.float64))


def _stated_actions(output: str, width: int) -> Actions:
    """What the name of an output says where the model draws nothing itself."""
    if output == VALUE_OUTPUT:
        return Actions("greedy", (width,), 1, f"the highest of {width} values (`{output}`)")
    if output == "mean_log_std":
        if width % 2:
            raise UploadRejected(
                f"`{output}` has {width} numbers, but each mean needs a log standard deviation."
            )
        detail = f"a diagonal Gaussian of {width // 2} dimensions (`{output}`)"
        return Actions("gaussian", (width // 2,), width // 2, detail)
    return Actions(None, None, None, f"{width} distribution inputs (`{output}`); it draws nothing")
