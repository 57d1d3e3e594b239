"""What a store of versions does, wherever it keeps them.

Versions are immutable once committed, and activated in one step. A store never sees a request and
never a policy: parts are folders to it.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from policy_server.store.elsewhere import Elsewhere
from policy_server.store.episodes import Episodes
from policy_server.store.manifest import Manifest
from policy_server.store.refusals import Refusals
from policy_server.store.served import Served
from policy_server.store.uses import Use
from policy_server.store.workers import Registration, Worker


class Store(Protocol):
    """The versions of one BASE_PATH.

    Args:
        base_path: Names where they are kept.
        elsewhere: What other machines share with this one; None where nothing does.

    Attributes:
        follows: Others may change what is here, and `follow` is to be called for it.
        episodes: When they last began with each version.
        refusals: What is known against versions.
        served: Which versions have decided for long.
    """

    episodes: Episodes
    refusals: Refusals
    served: Served
    follows: bool

    def __init__(self, base_path: Path, elsewhere: Elsewhere | None = None) -> None: ...

    @classmethod
    def takes(cls, base_path: Path, elsewhere: Elsewhere | None = None) -> bool:
        """Whether a BASE_PATH, and what it shares, are of the form that it knows."""

    def begin(self) -> None:
        """Have what a server needs to start.

        Raises:
            StoreUnavailable: It is not here, and cannot be fetched.
        """

    def follow(self, check: Callable[[], None] = lambda: None) -> None:
        """Take over what others have made since; called a few times a second.

        Args:
            check: Called between two steps; what it raises ends them.
        """

    @property
    def is_retired(self) -> bool:
        """All of it was removed, on another machine: its folder is to go, too."""

    def retire(self) -> None:
        """Remove all of it for all who share it; its folder here stays.

        Raises:
            StoreUnavailable: It is not removed.
        """

    def writing(self, check: Callable[[], None] = lambda: None) -> AbstractContextManager[None]:
        """Hold the store for the making of one version; others wait, in all processes.

        Args:
            check: Called while others have it; what it raises ends the wait.

        Raises:
            StoreFailed: It cannot be written to.
        """

    def clean(self) -> None:
        """Bring the store to the format of today, and remove what a crash has left.

        A process that makes a version has done so already. What cannot be written to is left alone.
        """

    def stage(self) -> AbstractContextManager[Path]:
        """An empty folder to make a version in; gone afterwards unless it was committed."""

    def copy_parts(self, name: str, parts: Iterable[str], folder: Path) -> None:
        """Give a version in the making copies of another's parts."""

    def commit(
        self,
        folder: Path,
        *,
        contract: str,
        parts: Iterable[str],
        checks: Iterable[dict[str, Any]],
        complete: bool,
        created_by: str = "",
        engine: str | None = None,
        schema_hash: str = "",
        uploaded: Iterable[str] | None = None,
    ) -> Manifest:
        """Make a staged folder a version, for good.

        The folder holds one for each part, and what was built of them. `uploaded` are paths of the
        files of which it was built, by default all in its parts. All else is as in Manifest.

        Returns:
            Its manifest. The version is neither active nor the candidate yet.
        """

    def activate(self, name: str) -> None:
        """Let a version decide from now on; nothing is a candidate any more, or known against it.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It lacks parts.
            StoreFailed: The store cannot be written to.
        """

    def take_back(self, name: str, before: str | None) -> bool:
        """Let the version before decide again, if this one is active still; returns whether it was.

        Raises:
            StoreFailed: The store cannot be written to.
        """

    def deactivate(self) -> None:
        """Let no version decide from now on."""

    def await_parts(self, name: str) -> None:
        """Let a version wait for the parts that it lacks."""

    def save_contract(self, content: str) -> None:
        """Replace the `contract.json` of BASE_PATH, for all who share the store.

        Raises:
            StoreFailed: It cannot be written.
        """

    def delete(self, name: str) -> None:
        """Remove a version that is not needed.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It is active, waits for parts, or is in use.
            StoreFailed: The store cannot be written to.
        """

    def prune(self, count: int, episode_seconds: float = 0.0) -> list[str]:
        """Remove the oldest versions beyond a number, less those that are needed; returns names.

        Needed are those that `delete` refuses to remove, the first, those that decided last, and
        those with which episodes may still run, which last so many seconds.
        """

    def active(self) -> str | None:
        """Name of the version that decides, if there is one."""

    def candidate(self) -> str | None:
        """Name of the version that waits for further parts, if there is one."""

    def names(self) -> list[str]:
        """Names of all versions, oldest first."""

    def folder(self, name: str) -> Path:
        """Where a version lies."""

    def manifest(self, name: str) -> Manifest:
        """What is known of a version.

        Raises:
            VersionNotFound: There is no such version, or its manifest is damaged.
        """

    def damage(self, name: str) -> str | None:
        """What is wrong with a version's files; None where they are as they were made.

        Raises:
            VersionNotFound: There is no such version, or its manifest is damaged.
        """

    def alike(
        self, contract: str, hashed: str, fits: Callable[[Manifest], bool] = lambda _: True
    ) -> Manifest | None:
        """The newest sound version of a contract and a content that fits, if there is one."""

    def use(self, name: str) -> Use:
        """Keep a version from being removed; raises VersionNotFound, or StoreFailed as Use does.

        A store to which a later release has written meanwhile raises StoreFailed, too.
        """

    def register(self) -> Registration:
        """Count this process among the workers."""

    def turn(self) -> AbstractContextManager[bool]:
        """Hold the turn of loading what needs much memory; False where another process has it."""

    def workers(self) -> list[Worker]:
        """The workers that are alive."""

    def folders(self) -> list[str]:
        """Everything among the versions, damaged ones too: their numbers are taken."""
