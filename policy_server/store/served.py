"""Which versions have decided for long: those that an operator may want to go back to.

What decided for less than NOTE_SECONDS is not noted.
"""

import contextlib

from policy_server.store.version_times import VersionTimes

PINNED = 5
"""So many of them are kept, those that decided last."""


class Served(VersionTimes):
    """When each version last decided."""

    def latest(self) -> list[str]:
        """The versions that decided last."""
        with contextlib.suppress(OSError):
            files = [(path.stat().st_mtime, path.name) for path in self.folder.iterdir()]
            return [name for _, name in sorted(files)[-PINNED:]]
        return []
