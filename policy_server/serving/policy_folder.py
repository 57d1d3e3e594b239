"""A policy as a folder: its parts under the names that people give them."""

import contextlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from policy_server.build import description
from policy_server.build.report import Part
from policy_server.errors import UploadRejected
from policy_server.policy import output_mapper, preprocessor
from policy_server.serving.bundle import Bundle

MODEL_FILES = ("saved_model.zip", "model.zip", "policy.onnx", "model.onnx")
GOLDEN_FILES = ("golden.jsonl", "golden.npz")
MODEL_FOLDER = "saved_model"
SCHEMA_FILE = "schema.yaml"


@contextlib.contextmanager
def open_policy_folder(folder: Path, golden: Path | None = None) -> Iterator[Bundle]:
    """Open what a folder holds.

    Args:
        folder: Holds one of MODEL_FILES or the folder `saved_model`, and if wanted
            `model.yaml`, `preprocessor.py`, `output_mapper.yaml`, `schema.yaml` and one of
            GOLDEN_FILES.
        golden: A file of golden cases that counts instead of the folder's own.

    Raises:
        UploadRejected: There is no such folder, or it holds no model, or golden cases
            in two files.
    """
    if not folder.is_dir():
        raise UploadRejected(f"{folder} is not a folder.")
    with contextlib.ExitStack() as files:
        parts: dict[Part, BinaryIO] = {Part.MODEL: files.enter_context(_open_model(folder))}
        for part, name in (
            (Part.DESCRIPTION, description.FILE),
            (Part.PREPROCESSOR, preprocessor.FILE),
            (Part.OUTPUT_MAPPER, output_mapper.FILE),
        ):
            if (folder / name).is_file():
                parts[part] = files.enter_context((folder / name).open("rb"))
        recorded = golden or _golden_file(folder)
        if recorded is not None:
            parts[Part.GOLDEN] = files.enter_context(_open(recorded))
        schema = folder / SCHEMA_FILE
        yield Bundle(parts, schema.read_bytes() if schema.is_file() else None, str(schema))


def _golden_file(folder: Path) -> Path | None:
    recorded = [folder / name for name in GOLDEN_FILES if (folder / name).is_file()]
    if len(recorded) > 1:
        raise UploadRejected(f"{folder} holds {' and '.join(GOLDEN_FILES)}: keep one of them.")
    return recorded[0] if recorded else None


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UploadRejected(f"{path} cannot be read: {error.strerror}.") from error


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
