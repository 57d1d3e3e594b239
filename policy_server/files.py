"""Files that others read while they are written."""

import contextlib
import os
import tempfile
from pathlib import Path

READABLE, OWNERS, OWNERS_FOLDER = 0o644, 0o600, 0o700


def write_atomically(
    path: Path, content: str | bytes, unfinished: Path | None = None, mode: int = READABLE
) -> None:
    """Replace a file in one step: a reader, or a crash, sees the old content or the new.

    Args:
        path: The file; its folder is made where it is missing.
        content: Text is written as UTF-8.
        unfinished: Where the content is written first, on the same disk. A caller that clears up
            after a crash names it; otherwise it gets a name of its own beside the file.
        mode: Who may read and write the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _opened(path, unfinished, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            give_to_owner_of(path.parent, file.fileno())
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def make_owners_folder(path: Path) -> None:
    """Make a folder into which only its owner may look, unless it is there."""
    try:
        path.mkdir(mode=OWNERS_FOLDER, parents=True)
    except FileExistsError:
        return
    give_to_owner_of(path.parent, path)


def give_to_owner_of(folder: Path, file: Path | int) -> None:
    """Let what root has written belong to whom the folder around it belongs.

    A server that runs as somebody else could not read it.
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with contextlib.suppress(PermissionError):  # who is not known in a container's namespace
            os.chown(file, owner.st_uid, owner.st_gid)


def _opened(path: Path, unfinished: Path | None, mode: int) -> tuple[int, Path]:
    if unfinished is not None:
        return os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), unfinished
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    return descriptor, Path(name)
