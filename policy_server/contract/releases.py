"""The contracts that clients were made for, in order: versions of their packages follow from it."""

import contextlib
import fcntl
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from policy_server.contract.contract import Contract
from policy_server.contract.history import HASH
from policy_server.files import write_atomically

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Release:
    """A contract that clients were made for.

    Attributes:
        schema: Digest of its schema.
        contract: Its own digest; empty where the schema alone is known.
        actions: What its actions are, in words.
        space: A hash of all that is known of its actions.
        version: Of the API.
    """

    schema: str
    contract: str = ""
    actions: str = ""
    space: str = ""
    version: str = ""

    @classmethod
    def of(cls, contract: Contract) -> "Release":
        """That of a contract."""
        words, digested = contract.actions.words, contract.actions.digested
        space = hashlib.sha256(digested.encode()).hexdigest()[:16]
        return cls(contract.schema.digest, contract.digest, words, space, contract.version)


class ReleaseHistory:
    """Every contract that was served or has clients, in `BASE_PATH/schemas/releases.json`.

    Servers from before that kept schemas alone: these come first, by the times of their files.

    Args:
        base_path: BASE_PATH.
    """

    def __init__(self, base_path: Path) -> None:
        self._folder = base_path / "schemas"
        self._path = self._folder / "releases.json"

    def record(self, contract: Contract) -> Sequence[Release]:
        """Record a contract, unless it is recorded already; where that cannot be, the log says so.

        Returns:
            The releases up to that of this contract, the oldest first.
        """
        release = Release.of(contract)
        try:
            with self._locked():
                known, is_sound = self._read()
                releases = _with(known, release)
                if is_sound and releases != known:
                    content = json.dumps([vars(each) for each in releases], indent=2) + "\n"
                    write_atomically(self._path, content)
        except OSError as error:
            logger.warning(
                "packages of clients may get a version twice: this contract cannot be recorded in "
                "%s: %s",
                self._path,
                error.strerror,
            )
            releases = _with(self._read()[0], release)
        before = releases[: _place(releases, release)]
        return [*before, release]

    def _read(self) -> tuple[list[Release], bool]:
        """What is recorded; and whether that could be read, or may be written anew."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Release]), True
        except FileNotFoundError:
            return self._guessed(), True
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            logger.warning(
                "versions of packages of clients follow the times of schemas, as %s cannot be "
                "read: %s. Put a copy there from before, or remove it.",
                self._path,
                error,
            )
            return self._guessed(), False

    def _guessed(self) -> list[Release]:
        """The schemas in the order in which they were saved."""
        files = [path for path in self._folder.glob("*.yaml") if HASH.fullmatch(path.stem)]
        saved = sorted((path.stat().st_mtime_ns, path.stem) for path in files)
        return [Release(digest) for _, digest in saved]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _with(known: Sequence[Release], release: Release) -> list[Release]:
    """With a release; the newest one, and what was but half known, become what is known now."""
    releases, place = list(known), _place(known, release)
    if place == len(known):
        releases.append(release)
    elif place == len(known) - 1 or not known[place].contract:
        releases[place] = release
    return releases


def _place(known: Sequence[Release], release: Release) -> int:
    """Where a release stands, or would be added."""
    for place, each in enumerate(known):
        if each.contract == release.contract:
            return place
        if not each.contract and each.schema == release.schema:
            return place
    return len(known)
