"""The parts of a version, and where each of them lies in its folder."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from policy_server.policy import output_mapper, preprocessor
from policy_server.policy.preprocessing import kind


class Part(StrEnum):
    """The parts that a version is made of; each is a folder of the version, named like this."""

    MODEL = "model"
    DESCRIPTION = "description"
    PREPROCESSOR = "preprocessor"
    OUTPUT_MAPPER = "output_mapper"
    GOLDEN = "golden"


FILES = {
    Part.MODEL: "upload",
    Part.DESCRIPTION: "model.yaml",
    Part.PREPROCESSOR: preprocessor.FILE,
    Part.OUTPUT_MAPPER: output_mapper.FILE,
    Part.GOLDEN: "cases",
}
"""The file of each part as it was uploaded. What a build makes of a model lies beside its file.

A preprocessor that is declared lies under its own name instead: by that a version knows it.
"""
ZIP = b"PK"
"""How zips begin."""
HEAD_BYTES = kind.HEAD_BYTES
"""So much of an uploaded file tells what it is."""
NETWORK_FILE = "network.json"
"""Beside the model: what the build found out about it."""
TIMING_FILE = "timing.json"
"""In the version's folder: how long its parts take together."""


def uploaded_file(folder: Path, part: Part) -> Path:
    """The uploaded file of a part, in the folder of a version."""
    if part is Part.PREPROCESSOR and is_declared(folder):
        return folder / part / kind.FILE
    return folder / part / FILES[part]


def is_declared(folder: Path) -> bool:
    """Whether the preprocessor in the folder of a version is a declaration, and no code."""
    return (folder / Part.PREPROCESSOR / kind.FILE).is_file()


def name_by_content(part: Part, head: bytes) -> str:
    """What the file of a part is to be called in a version.

    Args:
        part: Of the file.
        head: Its first HEAD_BYTES at least.
    """
    if part is Part.PREPROCESSOR and kind.is_declaration(head):
        return kind.FILE
    return FILES[part]


def uploaded_paths(folder: Path, parts: Iterable[Part]) -> list[str]:
    """Paths, below the folder of a version, of the files that it is built of."""
    return [f"{part}/{uploaded_file(folder, part).name}" for part in parts]
