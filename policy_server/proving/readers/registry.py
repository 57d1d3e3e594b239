"""All readers of models, asked by the first bytes of a file."""

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.converted import Converted, prove_converted
from policy_server.proving.formats import HEAD_BYTES, refuse_foreign_file, refuse_unknown_file
from policy_server.proving.readers.exported_program import EXPORTED_PROGRAM
from policy_server.proving.readers.inference_server import INFERENCE_SERVER
from policy_server.proving.readers.keras import KERAS
from policy_server.proving.readers.onnx import ONNX
from policy_server.proving.readers.onnx_zip import ONNX_ZIP
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload, Reader
from policy_server.proving.readers.saved_model import SAVED_MODEL
from policy_server.proving.readers.stable_baselines3 import STABLE_BASELINES3
from policy_server.proving.readers.tensorflow_lite import TENSORFLOW_LITE
from policy_server.proving.readers.torchscript import TORCHSCRIPT
from policy_server.version.parts import ZIP

CONVERTERS: list[Converter] = [
    STABLE_BASELINES3,
    KERAS,
    TENSORFLOW_LITE,
    TORCHSCRIPT,
    EXPORTED_PROGRAM,
    ONNX_ZIP,
]
"""Asked first: what they recognise is turned into what a reader reads."""
READERS: list[Reader] = [INFERENCE_SERVER, SAVED_MODEL, ONNX]
"""In the order in which they are asked: a format without a mark of its own comes last."""


def read_model(upload: ModelUpload) -> BuiltModel:
    """Make what serves a model of its uploaded file.

    Raises:
        UploadRejected: The file holds no policy that could be served.
        Undeclared: Nothing says how it is read.
    """
    try:
        with converted(upload) as (file, made):
            built = reader_of(file.file).read(file)
            return built if made is None else prove_converted(built, made)
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


@contextlib.contextmanager
def converted(upload: ModelUpload) -> Iterator[tuple[ModelUpload, Converted | None]]:
    """What a reader reads of an upload: its file, or what was made of it, while this is open.

    Raises:
        UploadRejected: It is of no format that is read, or cannot be converted.
    """
    marks = read_marks(upload.file)
    if not INFERENCE_SERVER.recognises(marks.head):  # as other text is none
        refuse_foreign_file(marks.head)
    converter = next((each for each in CONVERTERS if each.recognises(marks)), None)
    if converter is None:
        yield upload, None
        return
    with tempfile.TemporaryDirectory(dir=upload.folder) as folder:
        made = converter.convert(upload, Path(folder))
        yield replace(upload, file=made.file, description=made.description), made


def reader_of(file: Path) -> Reader:
    """The reader of a file's format; raises UploadRejected where there is none."""
    head = read_marks(file).head
    reader = next((each for each in READERS if each.recognises(head)), None)
    if reader is None:
        refuse_unknown_file()
    return reader


def read_marks(file: Path) -> Marks:
    """What the format of a file is told by."""
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if not head.startswith(ZIP):
        return Marks(head)
    try:
        with zipfile.ZipFile(file) as archive:
            return Marks(head, frozenset(archive.namelist()))
    except Exception:  # whatever a damaged zip leads to, the reader of zips explains it
        return Marks(head)
