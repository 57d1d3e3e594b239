"""When episodes last began with a version: what may still be running is not removed."""

import time

from policy_server.store.version_times import NOTE_SECONDS, VersionTimes


class Episodes(VersionTimes):
    """When an episode last began with each version."""

    def may_run(self, version: str, seconds: float) -> bool:
        """Whether an episode of a version may go on, if none lasts longer than so many seconds."""
        try:
            began = self.file(version).stat().st_mtime
        except OSError:
            return False
        return time.time() < began + NOTE_SECONDS + seconds
