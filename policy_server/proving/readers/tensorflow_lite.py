"""TensorFlow Lite: converted to ONNX, and compared with TensorFlow Lite's own interpreter."""

from pathlib import Path

from policy_server.errors import UploadRejected
from policy_server.policy.tensorflow_lite import TensorFlowLite
from policy_server.proving.conversion import ConversionFailed, convert_tensorflow_lite
from policy_server.proving.converted import Converted
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload

MARK, PLACE = b"TFL3", slice(4, 8)
"""The identifier of its flatbuffers, and where it stands."""
REMEDY = (
    "Export the network that it was made from as ONNX, or as a zip of its SavedModel "
    "(`model.export(folder)`), with numbers in float32."
)


def recognises(marks: Marks) -> bool:
    """A flatbuffer says in its first bytes what it is."""
    return marks.head[PLACE] == MARK


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Convert it, once the interpreter has taken it."""
    upload.progress("loading TensorFlow and the model")
    original = TensorFlowLite(upload.file)
    if original.quantised:
        raise UploadRejected(
            f"The model is TensorFlow Lite of quantised numbers ({original.quantised}), for which "
            f"no proof of equality holds. {REMEDY}"
        )
    upload.progress("converting the network")
    file = folder / "policy.onnx"
    try:
        convert_tensorflow_lite(upload.file, file)
    except ConversionFailed as error:
        raise UploadRejected(
            f"The model is TensorFlow Lite that cannot be converted ({error}). {REMEDY}"
        ) from error
    return Converted(
        file, upload.description, "converted from TensorFlow Lite", original=original.of_output
    )


TENSORFLOW_LITE = Converter(recognises, _convert)
