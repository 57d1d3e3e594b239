"""A zip of an ONNX file and the weights that lie beside it: made into one file of ONNX."""

from pathlib import Path, PurePosixPath

from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted
from policy_server.proving.onnx_beside import with_what_lies_beside
from policy_server.proving.onnx_file import MOST_BYTES
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload

ENDING, SAVED_MODEL, COPIED = ".onnx", "saved_model.pb", "__MACOSX"


def recognises(marks: Marks) -> bool:
    """One file of ONNX is in it, and no SavedModel."""
    paths = [PurePosixPath(name) for name in marks.members]
    models = [path for path in paths if _is_model(path)]
    return len(models) == 1 and all(path.name != SAVED_MODEL for path in paths)


def _is_model(path: PurePosixPath) -> bool:
    return path.suffix == ENDING and COPIED not in path.parts


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Unpack the model and what lies in its folder, and put the weights into it."""
    upload.progress("unpacking the model")
    with sound_zip(upload.file, upload.limits) as opened:
        (model,) = [path for path in opened.members if _is_model(path)]
        for path in opened.members:
            if path.parent == model.parent:
                (folder / path.name).write_bytes(opened.read(path))
    file = folder / model.name
    most_bytes = min(MOST_BYTES, upload.limits.unpacked_bytes)
    if (content := with_what_lies_beside(file, most_bytes)) is not None:
        file.write_bytes(content)
    return Converted(file, upload.description, f"{model.name[:100]} of a zip")


ONNX_ZIP = Converter(recognises, _convert)
