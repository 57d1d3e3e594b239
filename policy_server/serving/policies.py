"""The policies of a server beside its default one: which there are; made, listed, removed."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from policy_server.contract.policy_names import path_of
from policy_server.errors import PolicyConflict, PolicyNotFound, SchemaError
from policy_server.serving.contracts import Contracts
from policy_server.store.policies import PolicyFolders
from policy_server.store.shared_policies import SharedPolicies
from policy_server.store.store import Store


class Marks(NamedTuple):
    """What a policy serves, as far as it takes no reading: equal while nothing changed.

    Attributes:
        folder: Which one it is: a policy that is removed and made again has another.
        pointers: Of the files that say what is served.
    """

    folder: int
    pointers: tuple[tuple[int, int] | None, ...]


POINTERS = ("active", "contract.json")


@dataclass(frozen=True)
class PolicyLimits:
    """What policies beside the default one may take of a worker.

    Attributes:
        bytes: Of memory, together.
        idle_seconds: One that was not asked for so long is unloaded.
    """

    bytes: int
    idle_seconds: float


class PolicyCatalogue:
    """The policies beside the default one.

    Args:
        folders: Where they lie.
        contracts: Those of a folder.
        store: That of a folder.
        shared: Those of all machines, where any share with this one.
    """

    def __init__(
        self,
        folders: PolicyFolders,
        contracts: Callable[[Path], Contracts],
        store: Callable[[Path], Store],
        shared: SharedPolicies | None = None,
    ) -> None:
        self._shared = shared
        self._folders = folders
        self._contracts = contracts
        self._store = store

    def names(self) -> list[str]:
        """Their names, in order."""
        return self._folders.names()

    def folder_of(self, name: str) -> int:
        """Which folder a policy has now; raises PolicyNotFound where there is none."""
        try:
            return self._folders.folder(name).stat().st_ino
        except FileNotFoundError as error:
            raise PolicyNotFound(f"There is no policy {name!r} any more.") from error

    def marks(self, names: list[str]) -> dict[str, Marks]:
        """What policies serve, as far as it takes no reading; those that are gone are left out."""
        found = {}
        for name in names:
            with contextlib.suppress(PolicyNotFound):
                which, folder = self.folder_of(name), self._folders.folder(name)
                found[name] = Marks(which, tuple(_mark(folder / each) for each in POINTERS))
        return found

    def create(
        self, name: str, schema: bytes, title: str | None = None, file: str = "schema_file"
    ) -> bool:
        """Make a policy that has a schema, and no version yet.

        Args:
            name: Of the policy.
            schema: YAML.
            title: Of its API; by default the policy's name.
            file: What faults of the schema call it.

        Returns:
            Whether it was made; a policy with this very schema may be there already.

        Raises:
            UploadRejected: The schema cannot be served.
            PolicyConflict: There is one with another schema, or none can be called so.
            StoreFailed: It cannot be written.
        """

        def fill(folder: Path) -> None:
            contracts = self._contracts(folder)
            contract = contracts.of_upload(schema, file)
            contracts.save(replace(contract, title=title or name))
            if self._shared is not None:
                self._shared.share(name, folder)

        try:
            self._folders.make(name, fill)
        except PolicyConflict:
            if not self._folders.has(name) or not self._serves(name, schema, file):
                raise
            return False
        if self._shared is not None and not self._serves(name, schema, file):
            raise PolicyConflict(f"Another machine has made a policy {name} with another schema.")
        return True

    def get(self, name: str) -> dict[str, Any]:
        """What there is to know of one; raises PolicyNotFound."""
        self.folder_of(name)
        return self._told(name)

    def delete(self, name: str) -> None:
        """Remove a policy with all its versions; raises PolicyNotFound, StoreFailed."""
        if self._shared is None:
            self._folders.remove(name)
            return
        self._shared.remove(name)
        with contextlib.suppress(PolicyNotFound):  # who follows may have been faster
            self._folders.remove(name)

    def clean(self) -> None:
        """Remove what a crash has left."""
        self._folders.clean()

    def list(self) -> list[dict[str, Any]]:
        """What there is to know of each without loading it."""
        return [self._told(name) for name in self.names()]

    def _told(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = {"policy": name, "path": path_of(name)}
        try:
            folder = self._folders.folder(name)
            store = self._store(folder)
            told["version"] = store.active()
            told["workers"] = sum(each.version is not None for each in store.workers())
            contract = self._contracts(folder).served()
            told |= {"title": contract.title, "api_version": contract.version}
        except (SchemaError, PolicyNotFound) as error:
            told["detail"] = str(error)
        return {key: value for key, value in told.items() if value is not None}

    def _serves(self, name: str, schema: bytes, file: str) -> bool:
        contracts = self._contracts(self._folders.folder(name))
        return contracts.of_upload(schema, file).digest == contracts.served().digest


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
