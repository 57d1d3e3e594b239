"""What is fetched or installed once for all checkouts, and is made again where it is not there."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "policy-server"
COMPLETE = "complete"


def kept(name: str, make: Callable[[Path], object]) -> Path:
    """A folder outside of the checkout, which one process makes while others wait.

    Args:
        name: Of the folder: with what tells its content from that of other releases.
        make: Fills the folder, which is there and empty; where it fails, the next one begins anew.
    """
    made = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / COMPLETE).exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            make(made)
            (made / COMPLETE).touch()
    return made
