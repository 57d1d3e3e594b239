"""Versions in object storage, which several machines share; each has a copy of all of them.

What decides is read from the copy, a LocalFolder, and so is everything that is served: while the
storage is away, all of that goes on. What changes something is written to the storage first.

BASE_PATH/, beside what a LocalFolder has, and incoming/ (see incoming.py)
  store.json           what is known of the storage, see shared_state.py
  following.lock       held by the one process that asks the storage what is new, for all others
"""

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from policy_server.errors import PolicyNotFound, StoreUnavailable, VersionConflict, VersionNotFound
from policy_server.files import write_atomically
from policy_server.store.archive import Archived, pack
from policy_server.store.disk import locked
from policy_server.store.elsewhere import Elsewhere
from policy_server.store.incoming import Incoming
from policy_server.store.local_folder import CONTRACT_FILE, LocalFolder, refuse_pointed_to
from policy_server.store.manifest import Manifest, number_of
from policy_server.store.outage import Outage
from policy_server.store.shared_state import SharedState, State
from policy_server.store.turn import Turn
from policy_server.store.uses import refuse_used, unused

FOLDER = "versions"
FOLLOW_SECONDS = 0.4
"""Between two looks."""
FIRST_SECONDS = 1.0
"""In which a look is to be answered; after one that is not, twice as long."""
ORPHAN_SECONDS = 86_400.0
"""After which an object that nobody names is what an interrupted upload has left."""

logger = logging.getLogger(__name__)


class NameTaken(Exception):
    """Another machine has made a version of this very name meanwhile."""


class ObjectStorage(LocalFolder):
    """See Store.

    Args:
        base_path: The folder of the copy.
        elsewhere: The storage.
    """

    follows = True

    def __init__(self, base_path: Path, elsewhere: Elsewhere | None = None) -> None:
        assert elsewhere is not None
        super().__init__(base_path)
        self._shared = SharedState(elsewhere, base_path / "store.json")
        self._bucket = self._shared.bucket
        self._incoming = Incoming(base_path, self._bucket, self._has, self._place)
        self._turn = Turn(base_path, "following.lock")
        self._look_at = 0.0
        self._outage = Outage(elsewhere.address, FIRST_SECONDS, elsewhere.seconds)

    @classmethod
    def takes(cls, base_path: Path, elsewhere: Elsewhere | None = None) -> bool:
        return elsewhere is not None

    def begin(self) -> None:
        try:
            state = self._shared.look()
            if not state.serial or (state.retired and not self._shared.known().state.serial):
                self._share_what_is_here()
            self._take_over(self._shared.look())
        except StoreUnavailable as error:
            if self.active() is None and not (self._base / CONTRACT_FILE).exists():
                raise
            logger.warning("%s This server begins with version %s.", error, self.active())

    def follow(self, check: Callable[[], None] = lambda: None) -> None:
        if time.monotonic() < self._look_at:
            return
        with self._outage.noted():
            if not self._turn.take():
                return
            state = self._shared.look(self._outage.patience)
            self._take_over(state, check)
            self._remove_departed()
            if self._fetch_one_more(check):
                return
        if not self._outage.is_brief:
            self._look_at = time.monotonic() + FOLLOW_SECONDS

    @contextlib.contextmanager
    def writing(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        with super().writing(check):
            self._take_over(self._shared.look(), check)
            yield

    def activate(self, name: str) -> None:
        if not self.manifest(name).complete:
            raise VersionConflict(f"Version {name} lacks parts and cannot decide.")
        self._point_all(name, lambda state: structs.replace(state, active=name, candidate=None))
        self.refusals.forget(name)

    def await_parts(self, name: str) -> None:
        self._point_all(name, lambda state: structs.replace(state, candidate=name))

    def take_back(self, name: str, before: str | None) -> bool:
        def edit(state: State) -> State | None:
            known = before if before in state.versions else None
            return structs.replace(state, active=known) if state.active == name else None

        return self._change(edit)

    @property
    def is_retired(self) -> bool:
        return self._shared.known().state.retired

    def retire(self) -> None:
        gone: list[Archived] = []

        def edit(state: State) -> State | None:
            gone[:] = state.versions.values()
            return None if state.retired else State(retired=True)

        self._shared.change(edit)
        self._delete_objects(each.key for each in gone)

    def deactivate(self) -> None:
        self._change(lambda state: structs.replace(state, active=None))

    def save_contract(self, content: str) -> None:
        def edit(state: State) -> State | None:
            return None if state.contract == content else structs.replace(state, contract=content)

        self._change(edit)
        super().save_contract(content)

    def delete(self, name: str) -> None:
        gone: list[Archived] = []

        def edit(state: State) -> State | None:
            refuse_pointed_to(name, state.active, state.candidate)
            kept = dict(state.versions)
            gone[:] = [kept.pop(name)] if name in kept else []
            return structs.replace(state, versions=kept) if gone else None

        if self._has(name):
            with unused(self.folder(name)) as nobody_uses_it:
                refuse_used(name, nobody_uses_it)
        self._change(edit)
        self._delete_objects(each.key for each in gone)
        if self._has(name) or not gone:
            super().delete(name)

    def prune(self, count: int, episode_seconds: float = 0.0) -> list[str]:
        removed = super().prune(count, episode_seconds)
        named = {each.key for each in self._shared.known().state.versions.values()}
        self._delete_objects({*self._bucket.older(FOLDER, ORPHAN_SECONDS)} - named)
        return removed

    def _keep(self, made: Manifest, folder: Path) -> Manifest:
        while True:
            made.write(folder)
            try:
                self._share(made.name, folder)
            except NameTaken:
                number, _, hashed = made.name.partition("-")
                made = replace(made, name=f"{int(number) + 1}-{hashed}")
            else:
                break
        if not self._has(made.name):  # the process that follows may have been faster
            self._place(folder, made.name)
        return made

    def _next_number(self) -> int:
        known = map(number_of, self._shared.known().state.versions)
        return max(super()._next_number(), max(known, default=0) + 1)

    def _share(self, name: str, folder: Path) -> None:
        """Send a version to the storage.

        Raises:
            NameTaken: There is one of this name by now.
        """
        archived = self._upload(name, folder)

        def edit(state: State) -> State:
            if name in state.versions:
                raise NameTaken
            return structs.replace(state, versions={**state.versions, name: archived})

        try:
            self._change(edit)
        except NameTaken:
            self._delete_objects([archived.key])
            raise

    def _upload(self, name: str, folder: Path) -> Archived:
        with self.stage() as scratch:
            path = scratch / "version.tar"
            archived = Archived(f"{FOLDER}/{name}-{secrets.token_hex(8)}.tar", *pack(folder, path))
            self._bucket.upload(archived.key, path)
        return archived

    def _share_what_is_here(self) -> None:
        """Begin a storage that has nothing with what this machine serves, if it does."""
        active, candidate = self.active(), self.candidate()
        pointed = filter(None, {active, candidate})
        versions = {name: self._upload(name, self.folder(name)) for name in pointed}
        path = self._base / CONTRACT_FILE
        contract = path.read_text("utf-8") if path.exists() else None
        first = State(active=active, candidate=candidate, versions=versions, contract=contract)
        if first != State():
            self._shared.change(lambda now: None if now.serial and not now.retired else first)

    def _point_all(self, name: str, edit: Callable[[State], State]) -> None:
        if name not in self._shared.known().state.versions:  # of before there was a storage
            with contextlib.suppress(NameTaken):
                self._share(name, self.folder(name))

        def checked(state: State) -> State:
            if name not in state.versions:
                raise VersionNotFound(f"Version {name} was removed by another server meanwhile.")
            return edit(state)

        self._change(checked)

    def _change(self, edit: Callable[[State], State | None]) -> bool:
        """Change the state of all, then what is here; returns whether there was a change."""

        def checked(state: State) -> State | None:
            if state.retired:
                raise PolicyNotFound("This policy was removed on another machine.")
            return edit(state)

        if (state := self._shared.change(checked)) is None:
            return False
        self._point(state)
        return True

    def _take_over(self, state: State, check: Callable[[], None] = lambda: None) -> None:
        """Serve what is agreed on, once it is here."""
        if not state.serial or self._shared.is_old(state):
            return
        for name in filter(None, (state.active, state.candidate)):
            self._incoming.fetch(name, state.versions[name], check)
        self._point(state)

    def _point(self, state: State) -> None:
        """Point to what is agreed on; where that is not here, who follows fetches it."""
        pointed = {*filter(None, (state.active, state.candidate))}
        with locked(self._base, "pointers.lock"):
            here, known = {*self.folders()}, self._shared.known()
            if state == known.state or self._shared.is_old(state) or not pointed <= here:
                return
            for pointer, name in (
                (self._active, state.active),
                (self._candidate, state.candidate),
            ):
                if name is None:
                    pointer.clear()
                elif name != pointer.read():
                    self.refusals.forget(name)
                    pointer.write(name)
            if state.contract not in (None, known.state.contract):
                write_atomically(self._base / CONTRACT_FILE, state.contract or "")
            followed = {*known.followed} & here | {*state.versions}
            self._shared.remember(state, tuple(sorted(followed)))

    def _fetch_one_more(self, check: Callable[[], None]) -> bool:
        """Fetch a version that nobody asks for now, the newest first; whether there was one."""
        versions = self._shared.known().state.versions
        if missing := {*versions} - {*self.folders()}:
            name = max(missing, key=number_of)
            self._incoming.fetch(name, versions[name], check)
        return bool(missing)

    def _has(self, name: str) -> bool:
        return self.folder(name).is_dir()

    def _remove_departed(self) -> None:
        """Remove what others have removed, once nobody here uses it."""
        known = self._shared.known()
        for name in {*known.followed} & {*self.folders()} - {*known.state.versions}:
            with contextlib.suppress(VersionConflict, VersionNotFound):
                super().delete(name)

    def _delete_objects(self, keys: Iterable[str]) -> None:
        try:
            for key in keys:
                self._bucket.delete(key)
        except StoreUnavailable as error:
            logger.warning("%s It is removed with a later upload.", error)
