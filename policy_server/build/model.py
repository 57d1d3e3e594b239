"""An uploaded model to what is served of it: a small network, and facts about it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from policy_server.build.archive import unpack_saved_model
from policy_server.build.conversion import ConversionFailed, convert_to_onnx
from policy_server.build.formats import HEAD_BYTES, refuse_foreign_file
from policy_server.build.heads import Actions, Evidence, derive_actions
from policy_server.build.independence import RowProof
from policy_server.build.limits import BuildLimits
from policy_server.build.onnx_model import reduce_onnx
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engine import (
    OUTPUT_NAMES,
    Engine,
    EngineName,
    Floats,
    Network,
    load_engine,
)
from policy_server.policy.onnx_engine import OnnxEngine
from policy_server.policy.tensorflow_engine import SavedModel, UnusableModel

PROOF_TOLERANCE = 1e-4
PROOF_SCALES = (0.1, 1.0, 1.0, 10.0)
PROOF_ROWS = 64
"""Rows of features drawn at each of the scales."""
MIN_DRAWS = 32
VALUE_OUTPUT = "q_values"
NETWORK_FILE = "network.onnx"
ORIGINAL_FOLDER = "saved_model"


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
    """

    def __init__(
        self, facts: ModelFacts, engine: Engine, folder: Path, original: Engine | None = None
    ) -> None:
        self.facts = facts
        self.engine = engine
        self._folder = folder
        self._original = original

    def prove(self, features: Floats) -> str | None:
        """Compare what serves with the original, and let the original serve where they differ.

        Args:
            features: float32[B, F], of valid observations.

        Returns:
            What came of it; None where the original itself serves, or is not at hand.
        """
        if self._original is None:
            return None
        difference = compare(self.engine, self._original, features)
        if difference <= PROOF_TOLERANCE:
            return f"equal to the original to {difference:.1e} on {len(features)} observations"
        detail = f"TensorFlow serves it: {_differs(difference)} on valid observations"
        self.facts = replace(self.facts, engine="tensorflow", engine_detail=detail)
        self.engine, self._original = self._original, None
        return detail

    def keep(self) -> None:
        """Write the facts, and drop what nothing will be served from."""
        if self.facts.engine == "tensorflow":
            (self._folder / NETWORK_FILE).unlink(missing_ok=True)
        else:
            shutil.rmtree(self._folder / ORIGINAL_FOLDER, ignore_errors=True)
        self.facts.write(self._folder)


def load_built_model(folder: Path) -> BuiltModel:
    """The model of an earlier build, from its folder.

    Raises:
        UploadRejected: What was built is damaged.
    """
    try:
        facts = ModelFacts.read(folder)
        network = Network(facts.engine, facts.feature_width, "greedy", (facts.output_width,))
        return BuiltModel(facts, load_engine(network, folder), folder)
    except (OSError, ValueError, TypeError, KeyError, EngineFailed) as error:
        raise UploadRejected(
            f"The model that was uploaded before is damaged: {error}. Upload it again."
        ) from error


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
    with upload.open("rb") as file:
        head = file.read(HEAD_BYTES)
    refuse_foreign_file(head)
    try:
        if head.startswith(b"PK"):
            return _build_saved_model(upload, folder, limits, progress)
        return _build_onnx(upload, folder, progress)
    except UnusableModel as error:
        raise UploadRejected(f"The model cannot be served: {error}") from error
    except (EngineFailed, LookupError, ValueError) as error:
        if "Could not find variable" in str(error.__cause__):
            raise UploadRejected(
                "The model cannot be run: its graph looks for weights where the file has none, as "
                "`tf.saved_model.save` writes a Keras model. Export it with `model.export(folder)`."
            ) from error
        # LookupError, ValueError: its signature or its shapes contradict its graph.
        raise UploadRejected(f"The model cannot be run: {error}") from error


def compare(served: Engine, original: Engine, features: Floats) -> float:
    """The largest difference between two engines' outputs, relative where they exceed 1.

    Equal infinities, which mask actions, do not differ; neither do two NaNs, which a network may
    give to features that no observation has. Infinity stands for outputs that cannot be compared.
    """
    ours, theirs = served.run(features), original.run(features)
    if ours.shape != theirs.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        differences = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    differences = np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))
    return float(np.max(differences, initial=0.0))


def proof_features(width: int) -> Floats:
    """Random input vectors at several scales, float32[B, F]."""
    rng = np.random.default_rng(0)
    rows = [scale * rng.standard_normal((PROOF_ROWS, width)) for scale in PROOF_SCALES]
    return np.concatenate(rows).astype(np.float32)


def _build_onnx(upload: Path, folder: Path, progress: Callable[[str], None]) -> BuiltModel:
    progress("reading the ONNX file")
    engine, output = reduce_onnx(upload, folder / NETWORK_FILE)
    if engine.feature_width < 1:
        raise UnusableModel("the shape of its input is open: export it with a fixed one.")
    inputs = _outputs(engine, output, proof_features(engine.feature_width))
    actions = _stated_actions(output, inputs.shape[1])
    detail = f"ONNX Runtime runs the uploaded network's output `{output}`"
    facts = ModelFacts("onnxruntime", engine.feature_width, inputs.shape[1], actions, detail)
    return BuiltModel(facts, engine, folder)


def _build_saved_model(
    upload: Path, folder: Path, limits: BuildLimits, progress: Callable[[str], None]
) -> BuiltModel:
    progress("unpacking the model")
    unpack_saved_model(upload, folder / ORIGINAL_FOLDER, limits)
    progress("loading TensorFlow and the model")
    model = SavedModel(folder / ORIGINAL_FOLDER)
    if model.output_name not in OUTPUT_NAMES and "action" in model.output_name:
        raise UnusableModel(
            f"its outputs are {', '.join(sorted(model.outputs))}: actions, not what they are drawn "
            "from. Export logits, or mean and log standard deviation, as `action_dist_inputs`."
        )
    features = proof_features(model.feature_width)
    model.check_stateless(features)
    progress("comparing its own draws with the distribution")
    inputs = _outputs(model, model.output_name, features)
    actions = _actions(model, features, inputs, folder)
    progress("converting the network and proving it")
    engine, detail = _convert(model, folder / NETWORK_FILE, features)
    width = inputs.shape[1]
    if engine is None:
        facts = ModelFacts("tensorflow", model.feature_width, width, actions, detail)
        return BuiltModel(facts, model, folder)
    facts = ModelFacts("onnxruntime", model.feature_width, width, actions, detail)
    return BuiltModel(facts, engine, folder, model)


def _outputs(engine: Engine, name: str, features: Floats) -> Floats:
    """A network's outputs, float32[B, W], which are the same each time it is asked.

    Raises:
        UnusableModel: They are not, or not of that shape, or nothing in them is finite.
    """
    outputs = engine.run(features)
    if outputs.ndim != 2 or len(outputs) != len(features):
        raise UnusableModel(
            f"its output `{name}` has the shape {list(outputs.shape)} for {len(features)} "
            "observations: one row of numbers for each is wanted."
        )
    if not np.isfinite(outputs).any():
        raise UnusableModel(f"its output `{name}` is not finite, whatever the observation.")
    fault = RowProof(engine.run, features).fault()
    if fault is not None:
        raise UnusableModel(f"its output `{name}` {fault}")
    return outputs


def _convert(model: SavedModel, path: Path, features: Floats) -> tuple[OnnxEngine | None, str]:
    """The network as ONNX, if it can be converted and proven, and how it will be served."""
    try:
        convert_to_onnx(model, path)
        engine = OnnxEngine(path)
        difference = compare(engine, model, features)
    except (ConversionFailed, EngineFailed) as error:
        return None, f"TensorFlow serves it: it cannot be converted ({error})"
    if difference > PROOF_TOLERANCE:
        return None, f"TensorFlow serves it: {_differs(difference)}"
    return engine, (
        f"ONNX Runtime runs the reduced network; on {len(features)} random inputs its output "
        f"agrees with TensorFlow's to {difference:.1e}"
    )


def _differs(difference: float) -> str:
    return f"converted, its output differs by {difference:.1e} ({PROOF_TOLERANCE:.0e} is allowed)"


def _actions(model: SavedModel, features: Floats, inputs: Floats, folder: Path) -> Actions:
    integer = model.actions_are_integers
    if model.output_name == VALUE_OUTPUT or integer is None:
        return _stated_actions(model.output_name, inputs.shape[1])
    # Draws and inputs from one run would be best; the network is deterministic, so two will do.
    sound = ~np.isnan(inputs).any(axis=1)  # a network need not answer to features at random
    if sound.sum() < MIN_DRAWS:
        raise UnusableModel(
            f"its output `{model.output_name}` is no number for {len(inputs) - sound.sum()} of "
            f"{len(inputs)} random inputs."
        )
    evidence = Evidence.of(model.draw(features[sound]), inputs[sound].astype(np.float64))
    actions = derive_actions(evidence, integer)
    if actions.sizes is None:
        evidence.write(folder)
    return actions


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
