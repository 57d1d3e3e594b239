"""Unpacking of uploaded zips: nothing leaves the folder, nothing grows beyond the limits."""

import contextlib
import errno
import shutil
import stat
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from policy_server.errors import UploadRejected
from policy_server.proving.foreign.zips import foreign_zip
from policy_server.proving.limits import BuildLimits
from policy_server.proving.tf_agents import FILE as SPECS

CHUNK_BYTES = 1 << 20
SMALL_BYTES = 1 << 20
"""Unpacking to this much is harmless, whatever the ratio."""
MAX_DEPTH = 20
"""Folders in folders; Python removes trees by recursion, so a deep one could never be swept."""
DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""What the system says of a disk that takes no more; no archive is to blame for that."""
MODEL_FILE = "saved_model.pb"
MODEL_FILES = (MODEL_FILE, "fingerprint.pb", SPECS)
MODEL_FOLDERS = ("variables", "assets")
ENCRYPTED = 0x1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Python inflates these piece by piece; of the others it expands a whole chunk, however large."""


@dataclass(frozen=True)
class SoundZip:
    """A zip that may be unpacked.

    Attributes:
        file: The open zip.
        members: Its files by their paths, with slashes whatever packed it.
    """

    file: zipfile.ZipFile
    members: Mapping[PurePosixPath, zipfile.ZipInfo]

    def read(self, path: PurePosixPath) -> bytes:
        """The content of a member."""
        return self.file.read(self.members[path])

    def contents(self) -> dict[PurePosixPath, bytes]:
        """The content of every member."""
        return {path: self.read(path) for path in self.members}


@contextlib.contextmanager
def sound_zip(archive: Path, limits: BuildLimits, what: str = "The model") -> Iterator[SoundZip]:
    """Open a zip whose members are within the limits, and point to nowhere else.

    Args:
        archive: The file.
        limits: How much it may hold.
        what: What errors call it.

    Raises:
        UploadRejected: It is no sound zip, breaks a limit, or has members that point outside the
            folder or that are links.
        OSError: The disk takes no more of what the block unpacks.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            infos = file.infolist()
            _check_size(infos, archive.stat().st_size, limits)
            yield SoundZip(file, _sound_members(infos))
    except UploadRejected:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_FAULTS:
            raise
        # zipfile's own, and what zlib, struct and the file system make of damaged members.
        raise UploadRejected(f"{what} is not a sound zip: {_cause(error, archive)}") from error


def unpack_saved_model(archive: Path, folder: Path, limits: BuildLimits) -> None:
    """Unpack the SavedModel of a zip, at whatever depth it lies, into `folder`.

    Files beside it (`__MACOSX`, event files) are left out.

    Raises:
        UploadRejected: It is no sound zip, or holds no SavedModel or more than one.
    """
    with sound_zip(archive, limits) as opened:
        root = _model_root(opened.file, opened.members)
        for path, info in opened.members.items():
            if _belongs(path, root):
                _extract(opened.file, info, folder / path.relative_to(root))


def _cause(error: Exception, archive: Path) -> str:
    """What is wrong with a zip that cannot be read."""
    told = str(error).rstrip(".")
    with archive.open("rb") as file:
        begins = file.read(4) == b"PK\x03\x04"
    if not begins or "not a zip" not in told:
        return f"{told}."
    return (
        f"{told}. It begins as one and its end is missing, as after a download or a copy that did "
        "not finish: fetch it again."
    )


def _check_size(infos: Collection[zipfile.ZipInfo], packed: int, limits: BuildLimits) -> None:
    if len(infos) > limits.members:
        raise UploadRejected(
            f"The zip has {len(infos)} members, at most {limits.members} are unpacked."
        )
    total = sum(info.file_size for info in infos)
    if total > limits.unpacked_bytes:
        raise UploadRejected(
            f"The zip unpacks to {total} bytes, at most {limits.unpacked_bytes} are unpacked."
        )
    if total > max(limits.ratio * packed, SMALL_BYTES):
        raise UploadRejected(
            f"The zip unpacks to {total // max(packed, 1)} times its size, at most "
            f"{limits.ratio} times is believed."
        )


def _sound_members(infos: Collection[zipfile.ZipInfo]) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The archive's files by their paths, with slashes whatever packed it."""
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.replace("\\", "/")
        path = PurePosixPath(name)
        fault = _fault(info, path)
        if fault is not None:
            raise UploadRejected(f"The zip's member {info.filename[:200]!r} {fault}.")
        if name.endswith("/"):
            continue
        if path in members:
            raise UploadRejected(f"The zip holds {str(path)[:200]!r} twice.")
        members[path] = info
    return members


def _fault(info: zipfile.ZipInfo, path: PurePosixPath) -> str | None:
    """What is wrong with a member, if anything."""
    if path.is_absolute() or ".." in path.parts or ":" in info.filename:
        return "points out of its folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a symbolic link"
    if len(path.parts) > MAX_DEPTH:
        return f"lies {len(path.parts)} folders deep, at most {MAX_DEPTH} are unpacked"
    if info.flag_bits & ENCRYPTED:
        return "is encrypted: pack it without a password"
    if info.compress_type not in METHODS:
        return (
            f"is compressed by method {info.compress_type}: pack it with the ordinary one (deflate)"
        )
    return None


def _model_root(
    file: zipfile.ZipFile, members: Mapping[PurePosixPath, zipfile.ZipInfo]
) -> PurePosixPath:
    roots = [
        path.parent for path in members if path.name == MODEL_FILE and "__MACOSX" not in path.parts
    ]
    if not roots:
        raise UploadRejected(f"The zip holds no {MODEL_FILE}; {foreign_zip(file, members)}")
    if len(roots) > 1:
        raise UploadRejected(
            f"The zip holds {len(roots)} SavedModels ({', '.join(map(str, roots[:5]))}): "
            "upload one."
        )
    return roots[0]


def _belongs(path: PurePosixPath, root: PurePosixPath) -> bool:
    if not path.is_relative_to(root):
        return False
    parts = path.relative_to(root).parts
    return bool(parts) and parts[0] in (MODEL_FILES if len(parts) == 1 else MODEL_FOLDERS)


def _extract(file: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile stops at the size that the directory states, so a lying member cannot grow.
    with file.open(info) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, CHUNK_BYTES)
