"""A SavedModel as it is served: converted to ONNX, or by TensorFlow."""

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.registry import ENGINES, ONNXRUNTIME, load_engine
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.built_model import PROOF_TOLERANCE, compare, differs
from policy_server.proving.conversion import ConversionFailed, convert_to_onnx
from policy_server.proving.description import Description
from policy_server.proving.joined import Joined
from policy_server.proving.normalised import Normalised, write_normalisation
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.saved_model_states import layout_of


def original_of(model: SavedModel, description: Description) -> Engine:
    """What a converted network must equal: the model, normalised where that is declared.

    Raises:
        UploadRejected: Frames of a stack are to be normalised.
    """
    if description.normalise is None:
        return model
    if model.carried.frames:
        raise UploadRejected(
            "`normalise` in model.yaml is not written into a SavedModel that takes a stack of "
            "observations: normalise in `preprocessing.yaml` instead."
        )
    return Normalised(model, description.normalise, model.feature_width)


def why_not_itself(model: SavedModel, description: Description, why: str) -> str | None:
    """Why TensorFlow cannot serve the original; None where nothing speaks against that.

    Args:
        model: The original.
        description: By model.yaml.
        why: It is not served as ONNX.
    """
    if description.normalise is not None:
        return (
            f"`normalise` in model.yaml is written into a converted network, and {why}. "
            "Normalise in the preprocessor instead."
        )
    if isinstance(description.output, Joined):
        return (
            f"Several outputs are served as one in a converted network, and {why}. Export them "
            "side by side, such as `tf.concat([mean, log_std], axis=1)`, as one output."
        )
    if (unbounded := model.unbounded()) is None:
        return None
    why = why.removeprefix("TensorFlow serves it: ")
    return f"The model cannot be served: {unbounded} As ONNX it is not served either: {why}."


def convert(
    original: Engine, model: SavedModel, upload: ModelUpload, rows: Floats, width: int
) -> tuple[Engine | None, str]:
    """The network as ONNX, if it can be converted and proven, and how it will be served.

    Args:
        original: What it must equal.
        model: Is converted.
        upload: What was uploaded.
        rows: float32[B, F + S], to prove it with.
        width: W, the numbers that are served for each of them.
    """
    file, description = upload.folder / ENGINES[ONNXRUNTIME].file, upload.description
    words = ""
    try:
        if description.memory is None:
            convert_to_onnx(model, file)
            if description.normalise is not None:
                write_normalisation(file, description.normalise)
        else:
            layout = layout_of(model, description)
            convert_to_onnx(model, file, layout, width)
            words = f"; {layout.words}"
        engine = load_engine(ONNXRUNTIME, upload.folder)
        difference = compare(engine, original, rows)
    except (ConversionFailed, EngineFailed) as error:
        return None, f"TensorFlow serves it: it cannot be converted ({error})"
    if difference > PROOF_TOLERANCE:
        return None, f"TensorFlow serves it: {differs(difference)}"
    return engine, (
        f"ONNX Runtime runs the reduced network; on {len(rows)} random inputs its output "
        f"agrees with TensorFlow's to {difference:.1e}{words}"
    )
