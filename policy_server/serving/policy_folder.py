"""A policy as a folder: its parts under the names that people give them."""

import contextlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from policy_server.contract.encoding import not_utf8
from policy_server.errors import UploadRejected
from policy_server.policy.preprocessing import kind
from policy_server.policy.preprocessing.statistics import with_statistics
from policy_server.proving.foreign.endings import (
    MODEL_ENDINGS,
    foreign_folder,
    refuse_foreign_ending,
)
from policy_server.proving.onnx_beside import with_what_lies_beside
from policy_server.proving.server_reference import FILE as REFERENCE_FILE
from policy_server.proving.tf_agents import FILE as SPECS
from policy_server.serving.bundle import Bundle
from policy_server.version.parts import FILES, Part, name_by_content

MODEL_FILES = ("saved_model.zip", "model.zip", "policy.onnx", "model.onnx", REFERENCE_FILE)
DECLARED_FILE = kind.FILE
PREPROCESSOR_FILES = (FILES[Part.PREPROCESSOR], DECLARED_FILE)
NO_DECLARATION = (
    "does not begin as it is called: with `features:` or `normalise:`, comments aside. Code is "
    f"called {FILES[Part.PREPROCESSOR]}."
)
NO_CODE = (
    f"begins as {DECLARED_FILE} does: call it that; or begin the code with another line, such as "
    "an import or a text in quotes."
)
GOLDEN_FILES = ("golden.jsonl", "golden.npz")
MODEL_FOLDER = "saved_model"
SAVED_MODEL_FILES = ("saved_model.pb", "fingerprint.pb", SPECS, "variables", "assets")
SCHEMA_FILE = "schema.yaml"


@contextlib.contextmanager
def open_policy_folder(folder: Path, golden: Path | None = None) -> Iterator[Bundle]:
    """Open what a folder holds.

    Args:
        folder: Holds one of MODEL_FILES, the folder `saved_model`, what that has in it, or one
            other file that a model may be, and if wanted `model.yaml`, `preprocessor.py` or
            `preprocessing.yaml`, `output_mapper.yaml`, `schema.yaml` and one of GOLDEN_FILES.
        golden: A file of golden cases that counts instead of the folder's own.

    Raises:
        UploadRejected: There is no such folder, or it holds no model, or golden cases or
            preprocessing in two files.
    """
    if not folder.is_dir():
        raise UploadRejected(f"{folder} is not a folder.")
    with contextlib.ExitStack() as files:
        parts: dict[Part, BinaryIO] = {Part.MODEL: files.enter_context(_open_model(folder))}
        if (described := folder / FILES[Part.DESCRIPTION]).is_file():
            parts[Part.DESCRIPTION] = io.BytesIO(with_statistics(described))
        if (mapper := folder / FILES[Part.OUTPUT_MAPPER]).is_file():
            parts[Part.OUTPUT_MAPPER] = files.enter_context(mapper.open("rb"))
        if (preprocessor := _preprocessor(folder)) is not None:
            parts[Part.PREPROCESSOR] = files.enter_context(preprocessor)
        recorded = golden or _golden_file(folder)
        if recorded is not None:
            parts[Part.GOLDEN] = files.enter_context(_open(recorded))
        schema = folder / SCHEMA_FILE
        yield Bundle(parts, schema.read_bytes() if schema.is_file() else None, str(schema))


def _preprocessor(folder: Path) -> BinaryIO | None:
    """The preprocessor; its name and its first line must say alike whether it is code."""
    files = [folder / name for name in PREPROCESSOR_FILES if (folder / name).is_file()]
    if len(files) > 1:
        both = " and ".join(PREPROCESSOR_FILES)
        raise UploadRejected(f"{folder} holds {both}: keep one of them.")
    if not files:
        return None
    (file,) = files
    declared = file.name == DECLARED_FILE
    content = with_statistics(file) if declared else file.read_bytes()
    if declared and (encoding := not_utf8(content)) is not None:
        raise UploadRejected(f"{file} cannot be read: {encoding}")
    if name_by_content(Part.PREPROCESSOR, content) != file.name:
        raise UploadRejected(f"{file} {NO_DECLARATION if declared else NO_CODE}")
    return io.BytesIO(content)


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
            return open_model_file(folder / name)
    if (folder / MODEL_FOLDER).is_dir():
        return _packed(folder / MODEL_FOLDER, sorted((folder / MODEL_FOLDER).iterdir()))
    if (folder / SAVED_MODEL_FILES[0]).is_file():
        return _packed(folder, [folder / name for name in SAVED_MODEL_FILES])
    if what := foreign_folder(path.name for path in folder.iterdir()):
        raise UploadRejected(f"{folder} is {what}")
    others = sorted(path for path in folder.iterdir() if path.name.endswith(MODEL_ENDINGS))
    if len(others) == 1 and others[0].is_file():
        refuse_foreign_ending(others[0].name)
        return open_model_file(others[0])
    several = f" It has {', '.join(path.name for path in others[:5])}: which?" if others else ""
    raise UploadRejected(
        f"{folder} holds no model: {', '.join(MODEL_FILES)} or the folder {MODEL_FOLDER} is "
        f"wanted.{several}"
    )


def open_model_file(path: Path) -> BinaryIO:
    """A model's file; of an ONNX file with the weights and LEAPP's contract from beside it."""
    if path.suffix == ".onnx" and (content := with_what_lies_beside(path)) is not None:
        return io.BytesIO(content)
    return _open(path)


def _packed(root: Path, tops: Sequence[Path]) -> BinaryIO:
    """Files and folders of a SavedModel as a zip."""
    packed = io.BytesIO()
    # Reproducible builds give files the time 0, which a zip cannot say.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for top in tops:
            for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
                archive.write(path, Path(MODEL_FOLDER) / path.relative_to(root))
    packed.seek(0)
    return packed
