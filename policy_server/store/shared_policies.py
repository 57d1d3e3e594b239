"""Policies beside the default one, as machines share them: PREFIX/policies/NAME has one.

A policy is there as long as its `state.json` does not say that it was removed: a listing that
lacks one, as an old answer may, removes nothing.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from policy_server.contract.policy_names import is_policy_name
from policy_server.errors import PolicyConflict, PolicyNotFound, StoreFailed, StoreUnavailable
from policy_server.store.bucket import Bucket
from policy_server.store.elsewhere import Elsewhere
from policy_server.store.policies import CONTRACT_FILE, FOLDER, PolicyFolders
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.store.turn import Turn

LIST_SECONDS = 1.0
"""Between two looks for new policies."""
AT_A_TIME = 8
"""Policies that are followed."""

logger = logging.getLogger(__name__)


class SharedPolicies:
    """The policies below one place, of which this machine has copies.

    Args:
        base_path: Of the server.
        folders: Where the copies lie.
        place: Of the default policy.
    """

    def __init__(self, base_path: Path, folders: PolicyFolders, place: Elsewhere) -> None:
        self._folders = folders
        self._place = place
        self._bucket = Bucket(place)
        self._turn = Turn(base_path, "listing.lock")
        self._stores: dict[str, tuple[int, Store]] = {}
        self._list_at = 0.0

    def share(self, name: str, folder: Path) -> None:
        """Let all machines have a policy that was just made, or have the one that they have.

        Args:
            name: Of the policy.
            folder: Holds it.

        Raises:
            StoreUnavailable: It is not shared.
        """
        open_store(folder, self._place.below(FOLDER, name)).begin()

    def remove(self, name: str) -> None:
        """Remove a policy from all machines.

        Raises:
            PolicyNotFound: There is none.
            StoreFailed: It cannot be removed.
        """
        open_store(self._folders.folder(name), self._place.below(FOLDER, name)).retire()

    def follow(self, check: Callable[[], None] = lambda: None) -> None:
        """Have the policies that other machines have; see Store.follow."""
        if time.monotonic() >= self._list_at and self._turn.take():
            self.fetch_new()
            self._list_at = time.monotonic() + LIST_SECONDS
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(lambda name: self._follow(name, check), self._folders.names()))

    def begin(self) -> None:
        """Share what is here from before machines did, and fetch what is not."""
        for name in self._folders.names():
            self.share(name, self._folders.folder(name))
        self.fetch_new()

    def fetch_new(self) -> None:
        """Have copies of policies that are new; where one cannot be fetched, later."""
        with contextlib.suppress(StoreUnavailable):  # which is told for the default policy
            for name in self._bucket.folders(FOLDER):
                if is_policy_name(name) and not self._folders.has(name):
                    self._fetch(name)

    def _fetch(self, name: str) -> None:
        def fill(folder: Path) -> None:
            self.share(name, folder)
            if not (folder / CONTRACT_FILE).exists():  # it was removed, or is not made yet
                raise PolicyNotFound(name)

        with contextlib.suppress(PolicyNotFound, PolicyConflict, StoreFailed):
            self._folders.make(name, fill)
            logger.info("policy %s was made on another machine", name)

    def _follow(self, name: str, check: Callable[[], None]) -> None:
        with contextlib.suppress(PolicyNotFound, FileNotFoundError):  # removed meanwhile
            folder = self._folders.folder(name)
            number, (known, store) = folder.stat().st_ino, self._stores.get(name, (0, None))
            if store is None or known != number:
                store = open_store(folder, self._place.below(FOLDER, name))
                self._stores[name] = number, store
            store.follow(check)
            if store.is_retired:
                self._folders.remove(name)
                logger.info("policy %s was removed on another machine", name)
