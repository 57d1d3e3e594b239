"""The parts of a version, and where each of them lies in its folder."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from policy_server.policy import output_mapper, preprocessor


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
"""The file of each part as it was uploaded. What a build makes of a model lies beside its file."""
NETWORK_FILE = "network.json"
"""Beside the model: what the build found out about it."""
TIMING_FILE = "timing.json"
"""In the version's folder: how long its parts take together."""


def uploaded_file(folder: Path, part: Part) -> Path:
    """The uploaded file of a part, in the folder of a version."""
    return folder / part / FILES[part]


def uploaded_paths(parts: Iterable[Part]) -> list[str]:
    """Paths, below the folder of a version, of the files that it is built of."""
    return [f"{part}/{FILES[part]}" for part in parts]
