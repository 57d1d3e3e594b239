"""Files that others read while they are written."""

import os
import tempfile
from pathlib import Path

READABLE = 0o644


def write_atomically(path: Path, content: str | bytes, unfinished: Path | None = None) -> None:
    """Replace a file in one step: a reader, or a crash, sees the old content or the new.

    Args:
        path: The file; its folder is made where it is missing.
        content: Text is written as UTF-8.
        unfinished: Where the content is written first, on the same disk. A caller that clears up
            after a crash names it; otherwise it gets a name of its own beside the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _opened(path, unfinished)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fchmod(file.fileno(), READABLE)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def _opened(path: Path, unfinished: Path | None) -> tuple[int, Path]:
    if unfinished is not None:
        return os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, READABLE), unfinished
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    return descriptor, Path(name)
