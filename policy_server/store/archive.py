"""A version as one file, to be sent elsewhere: a tar of its folder, known by its hash."""

import hashlib
import tarfile
from pathlib import Path

import msgspec

from policy_server.errors import StoreFailed, VersionNotFound
from policy_server.store import content
from policy_server.store.manifest import Manifest


class Archived(msgspec.Struct, frozen=True):
    """Where a version lies as one object.

    Attributes:
        key: Of the object.
        sha256: Of its content.
        bytes: Its size.
    """

    key: str
    sha256: str
    bytes: int


def pack(folder: Path, path: Path) -> tuple[str, int]:
    """Write a version's folder into a file; returns its hash and its size."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.add(each, each.relative_to(folder).as_posix())
    return _hash(path), path.stat().st_size


def unpack(path: Path, known: Archived, name: str, folder: Path) -> None:
    """Make the folder of a version of a file.

    Args:
        path: The file.
        known: What it must be.
        name: Of the version.
        folder: An empty one.

    Raises:
        StoreFailed: It is something else.
    """
    if _hash(path) != known.sha256:
        raise StoreFailed(f"{known.key} is damaged: it is not what was uploaded as {name}.")
    try:
        with tarfile.open(path, "r:") as archive:
            archive.extractall(folder, filter="data")
        manifest = Manifest.read(folder)
    except (tarfile.TarError, VersionNotFound) as error:
        raise StoreFailed(f"{known.key} is no version: {error}.") from error
    if manifest.name != name:
        raise StoreFailed(f"{known.key} is version {manifest.name}, not {name}.")
    if (damage := content.damaged_file(folder, manifest.files)) is not None:
        raise StoreFailed(f"{known.key} is damaged: {damage}.")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
