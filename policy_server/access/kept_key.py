"""A key that is made at the first start, and kept in a file that its owner alone can read."""

import os
import secrets
from pathlib import Path

from policy_server.files import OWNERS, write_atomically

KEY_BYTES = 32


def kept_key(path: Path) -> bytes:
    """The key in a file, which is made where it is missing; all who ask at once get the same.

    Raises:
        OSError: It cannot be kept, or not be read.
    """
    if not path.exists():
        made = path.with_name(f".{path.name}.{os.getpid()}")
        write_atomically(made, secrets.token_hex(KEY_BYTES) + "\n", mode=OWNERS)
        try:
            os.link(made, path)  # unlike a rename, fails if another worker was first
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes().strip()
