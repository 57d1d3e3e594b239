"""The files of users and of keys: read by every worker, changed by the command line."""

import contextlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

import msgspec

from policy_server.access.followed_file import FollowedFile
from policy_server.access.lock import locked
from policy_server.contract.operations import Role
from policy_server.errors import ConfigurationError, StoreFailed
from policy_server.files import OWNERS, make_owners_folder, write_atomically

FOLDER = "access"
"""Below BASE_PATH."""
MOST_BYTES = 20_000_000
RoleName = Literal["predict", "manage"]

logger = logging.getLogger(__name__)


class UserRecord(msgspec.Struct, frozen=True):
    """What is kept of a user.

    Attributes:
        hash: Of the password, as passwords.py writes it.
        created: RFC 3339.
    """

    hash: str
    role: RoleName
    created: str


class KeyRecord(msgspec.Struct, frozen=True):
    """What is kept of a key.

    Attributes:
        name: As logs call it.
        hash: SHA-256 of the key, hexadecimal.
        created: RFC 3339.
        expires: In seconds since 1970; None for never.
    """

    name: str
    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    role: RoleName
    created: str
    expires: float | None = None


Record = TypeVar("Record", UserRecord, KeyRecord)


class RecordFile(Generic[Record]):
    """One file of records, by name or id.

    Args:
        path: The file; only its owner may read it.
        record: What it holds.
    """

    def __init__(self, path: Path, record: type[Record]) -> None:
        self.path = path
        self._decoder = msgspec.json.Decoder(dict[str, record])  # type: ignore[valid-type]
        self._followed = FollowedFile(path, MOST_BYTES)
        self.records: dict[str, Record] = {}

    def refresh(self) -> bool:
        """Take up what changed into `records`; nobody is in a file that is damaged."""
        if not self._followed.refresh():
            return False
        try:
            self.records = self._decode(self._followed.content)
        except ConfigurationError as error:
            self.records = {}
            logger.error("%s", error)
        return True

    def read(self) -> dict[str, Record]:
        """The records as they are now.

        Raises:
            ConfigurationError: The file is damaged.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = None
        return self._decode(content)

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Record]]:
        """The records, to be changed; what the block leaves is written in one step.

        Raises:
            ConfigurationError: The file is damaged; nothing is changed.
            StoreFailed: It cannot be written; nothing was changed.
        """
        try:
            make_owners_folder(self.path.parent)
            with locked(self.path.with_name("lock")):
                records = self.read()
                yield records
                content = msgspec.json.format(msgspec.json.encode(records), indent=1)
                write_atomically(self.path, content + b"\n", mode=OWNERS)
        except OSError as error:
            raise StoreFailed(
                f"{self.path} cannot be written: {error.strerror or error}. Nothing was changed."
            ) from error

    def _decode(self, content: bytes | None) -> dict[str, Record]:
        try:
            return {} if content is None else self._decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{self.path} is damaged: {error}. Mend it, or remove it and add all anew."
            ) from error


def users_file(base_path: Path) -> RecordFile[UserRecord]:
    """The users of a BASE_PATH."""
    return RecordFile(base_path / FOLDER / "users.json", UserRecord)


def keys_file(base_path: Path) -> RecordFile[KeyRecord]:
    """The keys of a BASE_PATH."""
    return RecordFile(base_path / FOLDER / "keys.json", KeyRecord)


def role_of(record: UserRecord | KeyRecord) -> Role:
    """What one may do."""
    return Role[record.role.upper()]


def now() -> str:
    """RFC 3339."""
    return datetime.now(UTC).isoformat(timespec="seconds")
