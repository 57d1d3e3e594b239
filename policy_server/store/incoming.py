"""Versions on their way from the storage to this machine.

BASE_PATH/
  incoming/            what is being fetched; the beginning of a large version stays there
  incoming.lock        held while something is
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from policy_server.store.archive import Archived, unpack
from policy_server.store.bucket import Bucket
from policy_server.store.disk import locked


class Incoming:
    """Fetches versions, one at a time, in whichever process.

    Args:
        base: BASE_PATH.
        bucket: Where they come from.
        has: Whether a version is here.
        place: Makes a folder the version of a name.
    """

    def __init__(
        self,
        base: Path,
        bucket: Bucket,
        has: Callable[[str], bool],
        place: Callable[[Path, str], None],
    ) -> None:
        self._base, self._folder = base, base / "incoming"
        self._bucket = bucket
        self._has, self._place = has, place

    def fetch(self, name: str, archived: Archived, check: Callable[[], None]) -> None:
        """Have a version here, proven to be what was uploaded.

        Args:
            name: Of the version.
            archived: Where it lies.
            check: Called now and then; what it raises ends this.

        Raises:
            StoreUnavailable: It cannot be fetched now.
            StoreFailed: It is damaged, or cannot be kept.
        """
        if self._has(name):
            return
        with locked(self._base, "incoming.lock", check):
            if self._has(name):
                return
            self._folder.mkdir(exist_ok=True)
            path = self._folder / Path(archived.key).name
            self._clear(path)
            self._bucket.download(archived.key, path, archived.bytes, check)
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            try:
                unpack(path, archived, name, folder)
                self._place(folder, name)
            finally:
                path.unlink()
                shutil.rmtree(folder, ignore_errors=True)

    def _clear(self, kept: Path) -> None:
        """Remove what a crash, or another version, has left."""
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path != kept:
                path.unlink()
