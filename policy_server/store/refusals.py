"""Versions that workers load no more: too many died of them, or there is not enough memory.

A small file for each, in lines: a death and the server whose worker it was, or why the version was
taken back. It goes when the version is activated again; deaths are forgotten, too, once a worker
has decided with the version for a while.
"""

import contextlib
from collections import Counter
from pathlib import Path

MOST_DEATHS = 5
"""With one version, one after the other; then it is what they die of."""
DIED, BECAUSE = "died ", "because "


class Refusals:
    """What is known against versions; where the store cannot be written to, nothing is noted.

    Args:
        folder: Holds the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note_death(self, version: str, server: str) -> None:
        """A worker of a server died while it tried a version."""
        self._add(version, f"{DIED}{server}")

    def take_back(self, version: str, reason: str) -> None:
        """Let no worker go on with a version, unless there is no other."""
        if self.taken_back(version) is None:
            self._add(version, BECAUSE + " ".join(reason.split()))

    def taken_back(self, version: str) -> str | None:
        """Why a version was taken back; None where it was not."""
        found = [line for line in self._lines(version) if line.startswith(BECAUSE)]
        return found[0].removeprefix(BECAUSE) if found else None

    def reason(self, version: str, server: str) -> str | None:
        """Why a worker of a server is not to load a version; None where it may.

        Of each other server, which may have been ended with all of its workers, one death counts.
        """
        if (reason := self.taken_back(version)) is not None:
            return reason
        lines = self._lines(version)
        if not lines:
            return None
        died = Counter(line.removeprefix(DIED) for line in lines if line.startswith(DIED))
        deaths = sum(times if who == server else 1 for who, times in died.items())
        if deaths < MOST_DEATHS:
            return None
        return (
            f"version {version} is loaded no more: {deaths} workers ended while they loaded it or "
            "just after, perhaps for want of memory. Give the server more, or take fewer workers, "
            "and activate the version again; or upload another one."
        )

    def prove(self, version: str) -> None:
        """A worker has decided with a version for a while: nobody died of it."""
        if self._lines(version) and self.taken_back(version) is None:
            self.forget(version)

    def forget(self, version: str) -> None:
        """Try a version as if nothing had been."""
        with contextlib.suppress(OSError):
            self._file(version).unlink(missing_ok=True)

    def _file(self, version: str) -> Path:
        return self._folder / Path(version).name

    def _add(self, version: str, line: str) -> None:
        with contextlib.suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            with self._file(version).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")  # in one step, as it is short

    def _lines(self, version: str) -> list[str]:
        try:
            return self._file(version).read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return []
