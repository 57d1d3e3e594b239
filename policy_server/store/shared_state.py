"""What several machines agree on: one small object, changed by compare-and-swap.

PREFIX/
  state.json           all of this: pointers, versions, the contract
  versions/KEY.tar     a version each, which state.json names

Every write raises the serial number by one. A reader that knows a later one than it gets has been
given an old answer, and leaves it.
"""

import contextlib
import random
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from policy_server.errors import StoreUnavailable
from policy_server.files import write_atomically
from policy_server.store.archive import Archived
from policy_server.store.bucket import Bucket, Conflict
from policy_server.store.elsewhere import Elsewhere

KEY = "state.json"
FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
MOST_TRIES = 20
"""Of a change that others are always faster with, or that old answers are in the way of."""
WAIT_SECONDS, MOST_WAIT_SECONDS = 0.02, 0.5
OLD_SECONDS = 60.0
"""An old state that is told for so long is no old answer: somebody has brought it back."""


class State(msgspec.Struct, frozen=True):
    """What is agreed on.

    Attributes:
        serial: How often it was changed.
        token: Of the change that made it, so that who made it knows it again.
        versions: Where each lies.
        contract: `contract.json` of BASE_PATH; None as long as nobody has made one.
        retired: The policy was removed.
    """

    format: int = FORMAT
    serial: int = 0
    token: str = ""
    active: str | None = None
    candidate: str | None = None
    versions: dict[str, Archived] = {}
    contract: str | None = None
    retired: bool = False


class Known(msgspec.Struct, frozen=True):
    """What this machine knows of the state, as it lies in BASE_PATH.

    Attributes:
        address: Whose state it is.
        state: The latest that was taken over.
        followed: Versions that were shared, and are here or were so a moment ago.
    """

    address: str
    state: State = State()
    followed: tuple[str, ...] = ()


Edit = Callable[[State], State | None]
"""Makes the next state; None where nothing is to be changed."""


class SharedState:
    """The state below an address, and what is known of it here.

    Args:
        place: The address.
        path: The file with what is known.
    """

    def __init__(self, place: Elsewhere, path: Path) -> None:
        self.bucket = Bucket(place)
        self._address = place.address
        self._path = path
        self._tag: str | None = None
        self._last = State()
        self._old_since: float | None = None

    def known(self) -> Known:
        """What this machine knows; nothing where the file is of another address, or damaged."""
        with contextlib.suppress(OSError, ValueError):
            known = msgspec.json.decode(self._path.read_bytes(), type=Known)
            if known.address == self._address:
                return known
        return Known(self._address)

    def remember(self, state: State, followed: tuple[str, ...]) -> None:
        """Note that a state was taken over."""
        known = Known(self._address, state, followed)
        write_atomically(self._path, msgspec.json.encode(known))

    def look(self, seconds: float | None = None) -> State:
        """The state as it is now; costs little where nothing has changed.

        Args:
            seconds: Most that it may take, without a second try; by default as for all requests.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        found = self.bucket.read(KEY, self._tag, seconds)
        if found is None:
            self._tag, self._last = None, self._first()
        elif found[1] != self._tag or self._tag is None:
            self._last, self._tag = _state(found[0]), found[1]
        return self._last

    def is_old(self, state: State) -> bool:
        """Whether a state is of an old answer: a later one is known, and that a moment ago."""
        known, now = self.known().state, time.monotonic()
        if state.serial > known.serial or state == known:
            self._old_since = None
            return False
        self._old_since = self._old_since or now
        return now < self._old_since + OLD_SECONDS

    def change(self, edit: Edit) -> State | None:
        """Make the next state; returns None where nothing was to be changed.

        Args:
            edit: Called with the state of the moment, again where others were faster. What it
                raises is raised, and nothing was changed.

        Raises:
            StoreUnavailable: It was not changed, as far as is known: the message says.
        """
        tried: set[str] = set()
        for number in range(MOST_TRIES):
            found = self.bucket.read(KEY)
            now = self._first() if found is None else _state(found[0])
            if now.token in tried:  # our own, of which the answer was lost
                return now
            if now.serial < self.known().state.serial:
                _wait(number)
                continue
            made = edit(now)
            if made is None:
                return None
            token = secrets.token_hex(8)
            tried.add(token)
            made = msgspec.structs.replace(made, serial=now.serial + 1, token=token)
            try:
                self.bucket.replace(KEY, msgspec.json.encode(made), found and found[1])
            except Conflict:
                _wait(number)
            except StoreUnavailable:
                return self._written(tried)
            else:
                return made
        raise StoreUnavailable(
            f"Others write to {self._address}/{KEY} all the time, or old answers are given for it: "
            f"{MOST_TRIES} tries found another one each. Nothing was changed; try again."
        )

    def _written(self, tried: set[str]) -> State:
        """The state after a write that nobody answered, if it was written."""
        try:
            found = self.bucket.read(KEY)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{error} Whether the change was made is not known: once the storage answers, "
                "GET /versions says so; if it was not, try again. Decisions go on."
            ) from error
        now = _state(found[0]) if found is not None else State()
        if now.token in tried:
            return now
        raise StoreUnavailable(
            f"{self._address}/{KEY} could not be written, though it can be read. Nothing was "
            "changed, and decisions go on: see whether these credentials may write, and try again."
        )

    def _first(self) -> State:
        """The state where there is none: the first, unless there was one."""
        if self.known().state.serial:
            raise StoreUnavailable(
                f"{self._address} has no {KEY} any more, which this server has followed: bring it "
                "back, or set POLICY_SERVER_STORE right, or, to begin anew, remove "
                f"{self._path}. Decisions go on."
            )
        return State()


def _wait(number: int) -> None:
    """Let others go first, for longer with each try."""
    time.sleep(random.uniform(0, min(WAIT_SECONDS * 2**number, MOST_WAIT_SECONDS)))


def _state(content: bytes) -> State:
    try:
        state = msgspec.json.decode(content, type=State)
    except ValueError as error:
        raise StoreUnavailable(
            f"{KEY} in the object storage is damaged ({error}): bring it back from an earlier "
            "version of it. Nothing was changed, and decisions go on."
        ) from error
    if state.format > FORMAT:
        raise StoreUnavailable(
            f"{KEY} in the object storage is of format {state.format}, and this release knows "
            f"{FORMAT}: a later release has written it. Start that release. Decisions go on."
        )
    pointed = {*filter(None, (state.active, state.candidate))}
    wrong = [name for name in state.versions if not NAME.fullmatch(name)]
    if wrong or not pointed <= {*state.versions}:
        raise StoreUnavailable(
            f"{KEY} in the object storage is damaged: it points to {sorted(pointed)} of "
            f"{sorted(state.versions)}. Bring it back from an earlier version of it."
        )
    return state
