"""Versions in a folder of this machine, activated by one atomic rename.

BASE_PATH/
  format               number of the form that all this has, see formats.py
  versions/<name>/     a folder for each part, what the build made of them, manifest.json
  active               name of the version that decides
  candidate            name of the version that waits for further parts
  workers/             a locked file for each worker: what it serves
  episodes/            a file for each version that episodes began with: when one last did
  refused/             a file for each version that workers died of, or that was taken back
  served/              a file for each version that decided for long: when it last did
  staging/             what is in the making; what a crash leaves there is swept away
  lock                 held while a version is made
  loading.lock         held while a worker loads a version for which memory may be short
  pointers.lock        held for the moment in which a version comes, goes, or is pointed to
"""

import contextlib
import fcntl
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from policy_server.errors import StoreFailed, VersionConflict, VersionNotFound
from policy_server.files import write_atomically
from policy_server.store import content, formats, leftovers, manifest
from policy_server.store.copying import copy_folder
from policy_server.store.disk import Pointer, locked, sync
from policy_server.store.elsewhere import Elsewhere
from policy_server.store.episodes import Episodes
from policy_server.store.manifest import Manifest, number_of
from policy_server.store.refusals import Refusals
from policy_server.store.served import Served
from policy_server.store.uses import Use, refuse_used, unused
from policy_server.store.workers import Registration, Worker, registered

HASH_CHARACTERS = 8
STAGING_PREFIX = "version-"
CONTRACT_FILE = "contract.json"


class LocalFolder:
    """See Store.

    Args:
        base_path: The folder; made when something is first written.
        elsewhere: None: nothing is kept elsewhere.
    """

    follows = False

    def __init__(self, base_path: Path, elsewhere: Elsewhere | None = None) -> None:
        self._base = base_path
        self._versions = base_path / "versions"
        self._staging = base_path / "staging"
        self._workers = base_path / "workers"
        self.episodes = Episodes(base_path / "episodes")
        self.refusals = Refusals(base_path / "refused")
        self.served = Served(base_path / "served")
        self._active = Pointer(base_path / "active")
        self._candidate = Pointer(base_path / "candidate")

    @classmethod
    def takes(cls, base_path: Path, elsewhere: Elsewhere | None = None) -> bool:
        return elsewhere is None

    def begin(self) -> None:
        """Nothing is fetched: all of it is here."""

    @property
    def is_retired(self) -> bool:
        """Only others could remove it so that its folder stays."""
        return False

    def retire(self) -> None:
        """Nobody else has it."""

    def follow(self, check: Callable[[], None] = lambda: None) -> None:
        """Nothing is followed: who changes something does so here."""

    @contextlib.contextmanager
    def writing(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        with locked(self._base, "lock", check):
            self._renew()
            yield

    def clean(self) -> None:
        self.workers()
        if not self._leftovers() and formats.is_of_today(self._base):
            return
        with contextlib.suppress(OSError, StoreFailed), (self._base / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._renew()

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        self._staging.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._staging, prefix=STAGING_PREFIX))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def copy_parts(self, name: str, parts: Iterable[str], folder: Path) -> None:
        for part in parts:
            copy_folder(self.folder(name) / part, folder / part)

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
        parts = tuple(sorted(parts))
        paths = [path for path in folder.rglob("*") if path.is_file()]
        hashed = content.content_hash(folder, parts, uploaded)
        made = Manifest(
            name=f"{self._next_number()}-{hashed[:HASH_CHARACTERS]}",
            created=time.time(),
            contract=contract,
            parts=parts,
            checks=tuple(checks),
            complete=complete,
            created_by=created_by,
            engine=engine,
            hash=hashed,
            files=content.hash_files(folder, paths),
            bytes=sum(path.stat().st_size for path in paths),
            schema_hash=schema_hash,
        )
        return self._keep(made, folder)

    def _keep(self, made: Manifest, folder: Path) -> Manifest:
        """Put a version where it stays; returns its manifest."""
        made.write(folder)
        self._place(folder, made.name)
        return made

    def _place(self, folder: Path, name: str) -> None:
        """Make a folder on the same disk, which has all of a version, that version in one step."""
        for path in [*folder.rglob("*"), folder]:
            sync(path)
        self._versions.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        folder.rename(self._versions / name)
        sync(self._versions)

    def activate(self, name: str) -> None:
        with locked(self._base, "pointers.lock"):
            if not self.manifest(name).complete:
                raise VersionConflict(f"Version {name} lacks parts and cannot decide.")
            self.refusals.forget(name)
            self._active.write(name)
            self._candidate.clear()

    def take_back(self, name: str, before: str | None) -> bool:
        with locked(self._base, "pointers.lock"):
            if self.active() != name:
                return False
            if before in self.names():
                self._active.write(str(before))
            else:
                self._active.clear()
            return True

    def deactivate(self) -> None:
        with locked(self._base, "pointers.lock"):
            self._active.clear()

    def await_parts(self, name: str) -> None:
        with locked(self._base, "pointers.lock"):
            self._candidate.write(name)

    def save_contract(self, content: str) -> None:
        write_atomically(self._base / CONTRACT_FILE, content)

    def delete(self, name: str) -> None:
        with locked(self._base, "pointers.lock"):
            if name not in self.folders():
                raise VersionNotFound(f"There is no version {name!r}.")
            refuse_pointed_to(name, self.active(), self.candidate())
            with unused(self.folder(name)) as nobody_uses_it:
                refuse_used(name, nobody_uses_it)
                self._remove(name)

    def prune(self, count: int, episode_seconds: float = 0.0) -> list[str]:
        removed: list[str] = []
        names = self.names()
        pinned = {*names[:1], *self.served.latest()}
        for name in names[:-count]:
            if name in pinned or self.episodes.may_run(name, episode_seconds):
                continue
            with contextlib.suppress(VersionConflict, VersionNotFound):
                self.delete(name)
                removed.append(name)
        return removed

    def active(self) -> str | None:
        return self._active.read()

    def candidate(self) -> str | None:
        return self._candidate.read()

    def names(self) -> list[str]:
        names = [name for name in self.folders() if (self.folder(name) / manifest.FILE).is_file()]
        return sorted(names, key=lambda name: (number_of(name), name))

    def folder(self, name: str) -> Path:
        return self._versions / name

    def manifest(self, name: str) -> Manifest:
        return Manifest.read(self.folder(name))

    def damage(self, name: str) -> str | None:
        return content.damaged_file(self.folder(name), self.manifest(name).files)

    def alike(
        self, contract: str, hashed: str, fits: Callable[[Manifest], bool] = lambda _: True
    ) -> Manifest | None:
        for name in reversed(self.names()):
            with contextlib.suppress(VersionNotFound):
                known = self.manifest(name)
                same = (known.contract, known.hash) == (contract, hashed) and fits(known)
                if same and not self.damage(name):
                    return known
        return None

    def use(self, name: str) -> Use:
        formats.check_format(self._base)
        return Use(self.folder(name))

    def register(self) -> Registration:
        return Registration(self._workers)

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        with contextlib.ExitStack() as held:
            try:
                lock = held.enter_context((self._base / "loading.lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            except OSError:  # it cannot be written to: nobody waits for anybody
                pass
            yield True

    def workers(self) -> list[Worker]:
        return registered(self._workers, self.refusals.note_death)

    def _renew(self) -> None:
        """Do what the process does first that holds the lock, and only that one may."""
        formats.migrate(self._base)
        if not self._leftovers():
            return
        with locked(self._base, "pointers.lock"):
            for path in self._leftovers():
                leftovers.remove(path)

    def _leftovers(self) -> list[Path]:
        unfinished = (self._active.unfinished, self._candidate.unfinished)
        return leftovers.leftovers(self._base, self._staging, unfinished)

    def _next_number(self) -> int:
        return max(map(number_of, self.folders()), default=0) + 1

    def folders(self) -> list[str]:
        return [path.name for path in self._versions.iterdir()] if self._versions.is_dir() else []

    def _remove(self, name: str) -> None:
        """Take a version out in one step, then remove its files."""
        self._staging.mkdir(parents=True, exist_ok=True)
        removed = self._staging / f"removed-{name}-{secrets.token_hex(4)}"
        self.folder(name).rename(removed)
        sync(self._versions)
        self.episodes.forget(name)
        self.refusals.forget(name)
        self.served.forget(name)
        shutil.rmtree(removed, ignore_errors=True)


def refuse_pointed_to(name: str, active: str | None, candidate: str | None) -> None:
    """Raise VersionConflict where a version decides, or waits for parts."""
    if name == active:
        raise VersionConflict(f"Version {name} is active: activate another one before.")
    if name == candidate:
        raise VersionConflict(
            f"Version {name} waits for parts: upload them, or activate a version, before."
        )
