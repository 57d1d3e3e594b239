"""The archive of a version, unpacked into a folder, with its manifest; every file is as it says."""

import hashlib
from pathlib import Path, PurePosixPath

import msgspec

from policy_server.errors import Fault, UploadRejected
from policy_server.proving.archive import SoundZip, sound_zip
from policy_server.proving.limits import BuildLimits
from policy_server.store import manifest
from policy_server.store.manifest import Manifest
from policy_server.version.parts import Part, uploaded_paths

CHUNK_BYTES = 1 << 20
MANIFEST_BYTES = 16_000_000
"""Of a manifest at most; ten thousand files take two million."""
MOST_FAULTS = 20
WHAT = "The archive"


def unpack(archive: Path, folder: Path, limits: BuildLimits) -> Manifest:
    """Unpack an archive whose signature was checked, and trusted.

    Args:
        archive: The file.
        folder: Empty.
        limits: How much it may hold.

    Returns:
        The manifest that it came with; it is not in the folder.

    Raises:
        UploadRejected: It holds what no version has, or a file that is not as its manifest says.
        StoreFailed: The disk has no room for it.
    """
    with sound_zip(archive, limits, WHAT) as opened:
        came = _manifest(opened)
        _check_names(opened, came)
        for path, hexadecimal in came.files.items():
            if _extract(opened, PurePosixPath(path), folder) != hexadecimal:
                raise UploadRejected(f"{WHAT} has a file that its manifest does not know: {path}.")
    _check_parts(folder, came)
    return came


def _manifest(opened: SoundZip) -> Manifest:
    info = opened.members.get(PurePosixPath(manifest.FILE))
    if info is None or info.file_size > MANIFEST_BYTES:
        raise UploadRejected(f"{WHAT} holds no version: it has no {manifest.FILE}.")
    try:
        came = msgspec.json.decode(opened.file.read(info), type=Manifest)
    except msgspec.MsgspecError as error:
        raise UploadRejected(f"{WHAT}'s {manifest.FILE} cannot be read: {error}.") from error
    if not came.complete:
        raise UploadRejected(f"{WHAT} holds version {came.name}, which lacks parts.")
    return came


def _check_names(opened: SoundZip, came: Manifest) -> None:
    """Raise where its members are not what its manifest lists."""
    found = {str(path) for path in opened.members} - {manifest.FILE}
    wanted = {*came.files}
    faults = [Fault(path, "is in no manifest.") for path in sorted(found - wanted)]
    faults += [Fault(path, "is missing.") for path in sorted(wanted - found)]
    if faults:
        raise UploadRejected(f"{WHAT} is not what its manifest lists.", faults[:MOST_FAULTS])


def _check_parts(folder: Path, came: Manifest) -> None:
    """Raise where the files that parts were built of are not there."""
    unknown = sorted({*came.parts} - {*Part})
    if unknown:
        raise UploadRejected(
            f"{WHAT} has parts that this release does not know: {', '.join(unknown)}."
        )
    for path in uploaded_paths(folder, [Part(part) for part in came.parts]):
        if not (folder / path).is_file():
            raise UploadRejected(f"{WHAT} lacks {path}, of which a part of the version was built.")


def _extract(opened: SoundZip, path: PurePosixPath, folder: Path) -> str:
    """Write a member; returns its SHA-256, hexadecimal."""
    target, digest = folder / path, hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile stops at the size that the directory states, so a lying member cannot grow.
    with opened.file.open(opened.members[path]) as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()
