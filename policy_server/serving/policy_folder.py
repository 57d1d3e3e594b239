"""A policy as a folder: its parts under the names that people give them."""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from policy_server.build.report import Part
from policy_server.errors import UploadRejected
from policy_server.policy import output_mapper, preprocessor
from policy_server.serving.bundle import Bundle

MODEL_FILES = ("saved_model.zip", "model.zip", "policy.onnx", "model.onnx")
MODEL_FOLDER = "saved_model"
SCHEMA_FILE = "schema.yaml"


@contextlib.contextmanager
def open_policy_folder(folder: Path) -> Iterator[Bundle]:
    """Open what a folder holds.

    Args:
        folder: Holds one of MODEL_FILES or the folder `saved_model`, and if wanted
            `preprocessor.py`, `output_mapper.yaml` and `schema.yaml`.

    Raises:
        UploadRejected: There is no such folder, or it holds no model.
    """
    if not folder.is_dir():
        raise UploadRejected(f"{folder} is not a folder.")
    with contextlib.ExitStack() as files:
        parts: dict[Part, BinaryIO] = {Part.MODEL: files.enter_context(_open_model(folder))}
        for part, name in (
            (Part.PREPROCESSOR, preprocessor.FILE),
            (Part.OUTPUT_MAPPER, output_mapper.FILE),
        ):
            if (folder / name).is_file():
                parts[part] = files.enter_context((folder / name).open("rb"))
        schema = folder / SCHEMA_FILE
        yield Bundle(parts, schema.read_bytes() if schema.is_file() else None, str(schema))


def _open_model(folder: Path) -> BinaryIO:
    for name in MODEL_FILES:
        if (folder / name).is_file():
            return (folder / name).open("rb")
    if not (folder / MODEL_FOLDER).is_dir():
        raise UploadRejected(
            f"{folder} holds no model: {', '.join(MODEL_FILES)} or the folder {MODEL_FOLDER} is "
            "wanted."
        )
    packed = io.BytesIO()
    # Reproducible builds give files the time 0, which a zip cannot say.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted((folder / MODEL_FOLDER).rglob("*")):
            archive.write(path, path.relative_to(folder))
    packed.seek(0)
    return packed
