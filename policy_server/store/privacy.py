"""The store's folder is its owner's: in it are credentials, and locks that stop everything."""

import os
import stat
from pathlib import Path

OWNERS, OF_ALL_OTHERS = 0o700, 0o007
OURS = ("versions", "contract.json", "credentials")
"""Of which a folder has one that is a store's, and nobody's home or temporary folder."""


def keep_private(base: Path) -> str | None:
    """Make the store's folder, or close it to all others; its group stays, which may share it.

    Returns:
        What an operator should do, where others can still look into it. None also where there is
        no folder and none can be made: what needs it says so.
    """
    try:
        base.mkdir(mode=OWNERS, parents=True)
    except OSError:  # it is there already, or on a disk that cannot be written to
        return _closed(base) if base.is_dir() else None
    return None


def _closed(base: Path) -> str | None:
    found = base.stat()
    mode = stat.S_IMODE(found.st_mode)
    if not mode & OF_ALL_OTHERS:
        return None
    ours = any((base / name).exists() for name in OURS) or not any(base.iterdir())
    if ours and not mode & stat.S_ISVTX and found.st_uid == os.geteuid():
        try:
            base.chmod(mode & ~OF_ALL_OTHERS)
        except OSError:  # a disk that cannot be written to, or knows no modes
            pass
        else:
            return None
    return (
        f"every user of this machine can look into {base} (mode {mode:o}): run `chmod o= {base}` "
        "as its owner, or choose a folder of its own for BASE_PATH"
    )
