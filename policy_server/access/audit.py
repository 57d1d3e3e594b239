"""The audit log: who changed what, when, from where, and what came of it.

    BASE_PATH/audit/
      audit.jsonl          entries, oldest first, a line of JSON each
      audit.jsonl.1 ...    those of before; the oldest file goes when there are too many
      lock                 held while an entry is written

An entry is written in one piece at the end of a file that only its owner may read. Nothing is ever
changed in it; ids follow each other without a gap, so that a missing entry shows.
"""

import contextlib
import getpass
import logging
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from policy_server.access.lock import locked
from policy_server.errors import PolicyServerError
from policy_server.files import OWNERS, give_to_owner_of, make_owners_folder

FOLDER, FILE = "audit", "audit.jsonl"
MOST_BYTES, MOST_FILES = 10_000_000, 10
TAIL_BYTES = 65_536
"""More than the longest entry."""
MOST_TEXT = 2_000
COMMAND_LINE = "command line"
Outcome = Literal["begun", "done", "refused", "failed"]

logger = logging.getLogger(__name__)


class Hash(msgspec.Struct, frozen=True):
    """SHA-256 of something, hexadecimal."""

    name: str
    sha256: str


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Something that was changed, or was to be.

    Attributes:
        id: One more than that of the entry before; given when it is written.
        time: RFC 3339; given when it is written.
        who: Name of the client; of the user of the operating system at the command line.
        kind: What proved it: `user`, `key`, `token` or `system`.
        address: From where.
        operation: Of the contract, or the command.
        outcome: What came of it; one that was refused or failed has changed nothing. Of one that
            was begun, another entry of the same request says how it ended.
        subject: The version, user or key that it was about.
        hashes: Of what was sent or changed, by the name of the part.
        status: Of the answer over HTTP.
        detail: Why it was refused.
        request: The request's id.
    """

    id: int = 0
    time: str = ""
    who: str
    kind: str
    address: str
    operation: str
    outcome: Outcome
    subject: str = ""
    hashes: list[Hash] = []
    status: int | None = None
    detail: str = ""
    request: str = ""


class Page(msgspec.Struct, omit_defaults=True):
    """Some entries.

    Attributes:
        entries: Latest first.
        before: Asks for the next page; absent where there is none.
    """

    entries: list[Entry]
    before: int | None = None


class AuditLog:
    """The audit log of a BASE_PATH.

    Args:
        base_path: The folder.
        most_bytes: A file that has more is put aside.
    """

    def __init__(self, base_path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._folder = base_path / FOLDER
        self._path = self._folder / FILE

    def write(self, entry: Entry) -> None:
        """Write an entry; where that fails, the server's log gets all of it, as an error.

        What was changed stays so: a full disk keeps nobody from removing a version, or a key.
        """
        entry.subject, entry.detail = entry.subject[:MOST_TEXT], entry.detail[:MOST_TEXT]
        try:
            self._append(entry)
        except OSError as error:
            text = msgspec.json.encode(entry).decode()
            logger.error("the audit log cannot be written (%s): %s", error, text)

    def page(self, limit: int, before: int | None = None) -> Page:
        """The latest entries.

        Args:
            limit: How many at most.
            before: Only such with smaller ids.
        """
        found: list[Entry] = []
        for entry in self._latest_first():
            if before is not None and entry.id >= before:
                continue
            if len(found) == limit:
                return Page(found, found[-1].id)
            found.append(entry)
        return Page(found)

    def _latest_first(self) -> Iterator[Entry]:
        seen: int | None = None
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                for line in reversed(path.read_bytes().splitlines()):
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        entry = msgspec.json.decode(line, type=Entry)
                        # A file may have been put aside since the one after it was read.
                        if seen is None or entry.id < seen:
                            seen = entry.id
                            yield entry

    def _files(self) -> Sequence[Path]:
        """Latest first."""
        return [self._path, *(self._aside(number) for number in range(1, MOST_FILES))]

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{FILE}.{number}")

    def _append(self, entry: Entry) -> None:
        make_owners_folder(self._folder)
        with locked(self._folder / "lock"):
            entry.id = self._last_id() + 1
            entry.time = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._rotate()
            with _opened(self._path, os.O_WRONLY | os.O_APPEND) as file:
                size = os.fstat(file).st_size
                line = msgspec.json.encode(entry) + b"\n"
                if not self._is_whole():  # somebody's power failed
                    line = b"\n" + line
                if os.write(file, line) != len(line):
                    os.ftruncate(file, size)
                    raise OSError("the disk is full")
                os.fsync(file)

    def _last_id(self) -> int:
        for path in self._files()[:2]:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
                for line in reversed(file.read().splitlines()):
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                        return msgspec.json.decode(line, type=Entry).id
        return 0

    def _is_whole(self) -> bool:
        """Whether the last line has its end."""
        with self._path.open("rb") as file:
            file.seek(max(self._path.stat().st_size - 1, 0))
            return file.read() in (b"", b"\n")

    def _rotate(self) -> None:
        """Put the file aside once it is long."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size < self._most_bytes:
                return
            for number in range(MOST_FILES - 1, 1, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._aside(number - 1).replace(self._aside(number))
            self._path.replace(self._aside(1))


@contextlib.contextmanager
def audited(base_path: Path, operation: str, subject: str) -> Iterator[Entry]:
    """Write an entry of the command line, once it is known what came of it.

    Args:
        base_path: What is changed.
        operation: The command.
        subject: What it is about, as far as that is known; the block may say more in the entry.
    """
    entry = Entry(
        who=_system_user(),
        kind="system",
        address=COMMAND_LINE,
        operation=operation,
        outcome="done",
        subject=subject,
    )
    try:
        yield entry
    except PolicyServerError as error:
        entry.outcome, entry.detail = "refused", str(error)
        raise
    except BaseException:
        entry.outcome = "failed"
        raise
    finally:
        AuditLog(base_path).write(entry)


def _system_user() -> str:
    """Of the operating system; behind sudo, the one who called it too."""
    try:
        name = getpass.getuser() if os.getuid() else "root"
    except (KeyError, OSError):  # a container may have no name for it
        name = str(os.getuid())
    caller = os.environ.get("SUDO_USER")
    return f"{name} (sudo by {caller})" if caller else name


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, OWNERS)
    try:
        give_to_owner_of(path.parent, descriptor)
        yield descriptor
    finally:
        os.close(descriptor)
