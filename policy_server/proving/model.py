"""An uploaded model to what is served of it: a small network, and facts about it."""

from collections.abc import Callable
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.description import Description
from policy_server.proving.formats import HEAD_BYTES, refuse_foreign_file
from policy_server.proving.from_onnx import build_onnx
from policy_server.proving.from_saved_model import build_saved_model
from policy_server.proving.limits import BuildLimits


def build_model(
    upload: Path,
    folder: Path,
    contract: Contract,
    description: Description,
    limits: BuildLimits,
    progress: Callable[[str], None],
) -> BuiltModel:
    """Build what serves a model.

    Args:
        upload: The file as it came, a zip of a SavedModel or ONNX.
        folder: The model's folder; gets `network.onnx` or `saved_model/`.
        contract: Whose actions it decides on.
        description: What is declared of it.
        limits: How much the archive may unpack to.
        progress: Called with what is being done.

    Raises:
        UploadRejected: The file holds no policy that could be served.
        Undeclared: Nothing says how it is read.
    """
    with upload.open("rb") as file:
        head = file.read(HEAD_BYTES)
    refuse_foreign_file(head)
    try:
        if head.startswith(b"PK"):
            return build_saved_model(upload, folder, contract, description, limits, progress)
        return build_onnx(upload, folder, contract, description, progress)
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
