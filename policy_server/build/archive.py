"""Unpacking of uploaded zips: nothing leaves the folder, nothing grows beyond the limits."""

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from policy_server.build.limits import BuildLimits
from policy_server.errors import UploadRejected

CHUNK_BYTES = 1 << 20
MODEL_FILE = "saved_model.pb"


def unpack_saved_model(archive: Path, folder: Path, limits: BuildLimits) -> None:
    """Unpack the SavedModel of a zip, at whatever depth it lies, into `folder`.

    Files beside it (`__MACOSX`, event files) are left out.

    Raises:
        UploadRejected: It is no sound zip, breaks a limit, has members that point outside the
            folder or that are links, or holds no SavedModel or more than one.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = file.infolist()
            _check(members, archive.stat().st_size, limits)
            root = _model_root(members)
            _extract(file, [member for member in members if _belongs(member, root)], root, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        # RuntimeError: encrypted; NotImplementedError: a compression that Python lacks.
        raise UploadRejected(f"The model is not a sound zip: {error}.") from error
    except Exception as error:
        if isinstance(error, UploadRejected):
            raise
        # zlib, lzma and bz2 each raise errors of their own on damaged members.
        raise UploadRejected(f"The model is not a sound zip: {error}.") from error


def _check(members: list[zipfile.ZipInfo], packed: int, limits: BuildLimits) -> None:
    if len(members) > limits.members:
        raise UploadRejected(
            f"The zip has {len(members)} members, at most {limits.members} are unpacked."
        )
    total = sum(member.file_size for member in members)
    if total > limits.unpacked_bytes:
        raise UploadRejected(
            f"The zip unpacks to {total} bytes, at most {limits.unpacked_bytes} are unpacked."
        )
    if total > limits.ratio * max(packed, CHUNK_BYTES // limits.ratio):
        raise UploadRejected(
            f"The zip unpacks to {total // max(packed, 1)} times its size, at most "
            f"{limits.ratio} times is believed."
        )
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename:
            raise UploadRejected(f"The zip's member {member.filename!r} points out of its folder.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UploadRejected(f"The zip's member {member.filename!r} is a symbolic link.")


def _model_root(members: list[zipfile.ZipInfo]) -> PurePosixPath:
    roots = [
        PurePosixPath(member.filename).parent
        for member in members
        if PurePosixPath(member.filename).name == MODEL_FILE
        and "__MACOSX" not in PurePosixPath(member.filename).parts
    ]
    if not roots:
        raise UploadRejected(
            f"The zip holds no {MODEL_FILE}: a zip of a TensorFlow SavedModel is wanted."
        )
    if len(roots) > 1:
        raise UploadRejected(
            f"The zip holds {len(roots)} SavedModels ({', '.join(map(str, roots[:5]))}): "
            "upload one."
        )
    return roots[0]


def _belongs(member: zipfile.ZipInfo, root: PurePosixPath) -> bool:
    path = PurePosixPath(member.filename)
    if member.is_dir() or not path.is_relative_to(root):
        return False
    inner = path.relative_to(root)
    return str(inner) in (MODEL_FILE, "fingerprint.pb") or inner.parts[0] in (
        "variables",
        "assets",
    )


def _extract(
    file: zipfile.ZipFile, members: list[zipfile.ZipInfo], root: PurePosixPath, folder: Path
) -> None:
    for member in members:
        target = folder / PurePosixPath(member.filename).relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        # zipfile stops at the size that the directory states, so a lying member cannot grow.
        with file.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink, CHUNK_BYTES)
