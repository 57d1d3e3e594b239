"""Hashes of what a version is made of: to know a content again, and to find what was damaged."""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path


def hash_files(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of files, by their path below a folder."""
    return {path.relative_to(folder).as_posix(): _hash_file(path) for path in sorted(paths)}


def hash_of(files: Mapping[str, str]) -> str:
    """One hash over names and contents of files."""
    digest = hashlib.sha256()
    for path, hexadecimal in sorted(files.items()):
        digest.update(f"{path}\0{hexadecimal}\n".encode())
    return digest.hexdigest()


def content_hash(folder: Path, parts: Iterable[str], uploaded: Iterable[str] | None = None) -> str:
    """One hash over what a version is made of.

    Args:
        folder: Holds a folder for each part.
        parts: Names of its parts.
        uploaded: Paths of the files that count; None stands for all in the parts.
    """
    if uploaded is not None:
        return hash_of(hash_files(folder, [folder / path for path in uploaded]))
    paths = (path for part in parts for path in (folder / part).rglob("*") if path.is_file())
    return hash_of(hash_files(folder, paths))


def damaged_file(folder: Path, files: Mapping[str, str]) -> str | None:
    """The first file that is not as it was, with what is wrong; None where all are."""
    for path, hexadecimal in files.items():
        try:
            if _hash_file(folder / path) != hexadecimal:
                return f"{path} is not what it was when the version was made"
        except OSError as error:
            return f"{path} cannot be read ({error.strerror})"
    return None


def look_of(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Path, size, time of change and inode of every file of a folder."""
    looks = []
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):  # it went meanwhile
            found = path.lstat()
            looks.append((str(path), found.st_size, found.st_mtime_ns, found.st_ino))
    return tuple(looks)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
