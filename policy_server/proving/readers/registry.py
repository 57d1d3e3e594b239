"""All readers of models, asked by the first bytes of a file."""

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.formats import HEAD_BYTES, refuse_foreign_file, refuse_unknown_file
from policy_server.proving.readers.onnx import ONNX
from policy_server.proving.readers.reader import ModelUpload, Reader
from policy_server.proving.readers.saved_model import SAVED_MODEL

READERS: list[Reader] = [SAVED_MODEL, ONNX]
"""In the order in which they are asked: a format without a mark of its own comes last."""


def read_model(upload: ModelUpload) -> BuiltModel:
    """Make what serves a model of its uploaded file.

    Raises:
        UploadRejected: The file holds no policy that could be served.
        Undeclared: Nothing says how it is read.
    """
    with upload.file.open("rb") as file:
        head = file.read(HEAD_BYTES)
    refuse_foreign_file(head)
    reader = next((each for each in READERS if each.recognises(head)), None)
    if reader is None:
        refuse_unknown_file()
    try:
        return reader.read(upload)
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
