"""SavedModels built for TensorFlow Serving: reduced, run there, compared with the original."""

from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.registry import ENGINES, TENSORFLOW_SERVING
from policy_server.policy.engines.served_model import Widths
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.built_model import PROOF_TOLERANCE, compare, differs, recorded_rows
from policy_server.proving.conversion import ConversionFailed
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.saved_model_reduced import write_reduced


def serve_reduced(
    model: SavedModel,
    original: Engine,
    upload: ModelUpload,
    features: Floats,
    has_memory: bool = False,
) -> tuple[Engine | None, str]:
    """What TensorFlow Serving runs of a SavedModel, and how well it agrees.

    Args:
        model: Is reduced.
        original: What it must equal: the model, with normalised features where that is declared.
        upload: What was uploaded.
        features: float32[B, F], to prove it with.
        has_memory: It carries something from step to step.

    Returns:
        None for the engine where TensorFlow Serving is not wanted, or cannot run it: the words then
        say why, for the end of a report.

    Raises:
        EngineFailed: TensorFlow Serving cannot be asked.
    """
    if upload.limits.engine != TENSORFLOW_SERVING:
        return None, ""
    try:
        if has_memory:
            raise ConversionFailed("it has a memory, whose parts are inputs and outputs apart")
        if (unbounded := model.unbounded()) is not None:
            raise ConversionFailed(unbounded)
        return _served(model, original, upload, features)
    except ConversionFailed as error:
        return None, f"; TensorFlow Serving does not: {error}"


def _served(
    model: SavedModel, original: Engine, upload: ModelUpload, features: Floats
) -> tuple[Engine, str]:
    folder = upload.folder / ENGINES[TENSORFLOW_SERVING].file
    write_reduced(model, folder, upload.description.normalise)
    width = original.run(features[:1]).shape[1]
    Widths(model.feature_width, width).write(folder)
    upload.progress("having TensorFlow Serving run the network")
    engine = upload.engines.load(TENSORFLOW_SERVING, model.output_name)
    difference = compare(engine, original, features)
    if difference > PROOF_TOLERANCE:
        raise ConversionFailed(differs(difference))
    rows = recorded_rows(features)
    Recorded(rows, engine.run(rows)).write(folder)
    return engine, (
        f"TensorFlow Serving runs the reduced network; on {len(features)} random inputs its output "
        f"agrees with the original's to {difference:.1e}"
    )
