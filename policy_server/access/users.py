"""Users, who prove by a password who they are."""

import contextlib
import hmac

import msgspec

from policy_server.access import passwords
from policy_server.access.encodings import digest_of, plain, text_of
from policy_server.access.failures import Failures, network_of
from policy_server.access.hashing import Hashing
from policy_server.access.identity import Identity
from policy_server.access.kept_credentials import KeptCredentials
from policy_server.access.memory import Memory
from policy_server.access.records import RecordFile, UserRecord, role_of
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role
from policy_server.errors import PolicyServerError, TooManyFailures

MOST_PROVEN = 16_384
"""Addresses and passwords that are remembered: the others are hashed again."""


class Users:
    """A source of users.

    A password that was right is remembered for its address, by a keyed digest: guesses from
    elsewhere cannot use that memory to ask faster than passwords are hashed.

    Args:
        kept: User and password of the smallest set-up; may do everything.
        file: All others.
        failures: Slow down guesses.
    """

    def __init__(
        self, kept: KeptCredentials, file: RecordFile[UserRecord], failures: Failures
    ) -> None:
        self._kept = kept
        self._file = file
        self._failures = failures
        self._hashing = Hashing()
        self._nobodys = passwords.nobodys_hash()
        self._proven: Memory[tuple[str, str]] = Memory(MOST_PROVEN)
        self._known: dict[str, tuple[str, Identity]] = {}
        self._kept_name, self._kept_digest = "", b""
        self.refresh()
        self._read()

    def refresh(self) -> bool:
        """Take up what changed."""
        changed = [self._kept.refresh(), self._file.refresh()]
        if any(changed):
            self._read()
        return any(changed)

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are, if they were proven from there."""
        if credentials.scheme != "basic":
            return None
        proven = self._proven.recall(_what(credentials, address))
        if proven is None:
            return None
        name, proof = proven
        known = self._known.get(name)
        return known[1] if known is not None and known[0] == proof else None

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; None where nobody's.

        A user who is not known takes as long as a wrong password.

        Raises:
            TooManyFailures: They are not looked at.
        """
        if credentials.scheme != "basic":
            return None
        name, password = text_of(credentials.user), text_of(credentials.secret)
        wait = self._failures.wait(address, name)
        if wait:
            raise TooManyFailures(wait)
        what = _what(credentials, address)
        found = await self._proof(name, password, what, address)
        known = self._known.get(name)
        if found is None or known is None or known[0] != found:  # it may have changed meanwhile
            return None
        self._proven.remember(what, (name, found))
        self._failures.forgive(address, name)
        return known[1]

    def describe(self, credentials: Credentials) -> str:
        """How logs call whose password was refused; a name that is not known may be a password."""
        name = text_of(credentials.user)
        return f"the user {name}" if name in self._known else "a user who is not known"

    async def _proof(self, name: str, password: str, what: bytes, address: str) -> str | None:
        """What a password was proven against, which its user has; None where it is wrong."""
        digest = digest_of(_joined(name, password))
        if hmac.compare_digest(digest, self._kept_digest):
            return digest.hex()
        others = self._file.records if name != self._kept_name else {}
        hashed = others[name].hash if name in others else self._nobodys
        return await self._hashing.run(
            network_of(address), what, lambda: self._hashed_proof(name, password, hashed)
        )

    def _hashed_proof(self, name: str, password: str, hashed: str) -> str | None:
        """As `_proof`, in a thread."""
        if not passwords.is_password(password, hashed):
            return None
        if passwords.is_outdated(hashed):
            with contextlib.suppress(PolicyServerError), self._file.changing() as records:
                if name in records and records[name].hash == hashed:
                    renewed = passwords.hash_password(password)
                    records[name] = msgspec.structs.replace(records[name], hash=renewed)
        return hashed

    def _read(self) -> None:
        """Put together who is known now, each with what their password is proven against."""
        self._known = {
            name: (record.hash, Identity(name, "user", role_of(record)))
            for name, record in self._file.records.items()
        }
        name, _, password = text_of(self._kept.read().encode()).partition(":")
        self._kept_name, self._kept_digest = "", b""
        if name and password:
            self._kept_name, self._kept_digest = name, digest_of(_joined(name, password))
            self._known[name] = self._kept_digest.hex(), Identity(name, "user", Role.MANAGE)


def _joined(name: str, password: str) -> bytes:
    return b"%b:%b" % (plain(name), plain(password))


def _what(credentials: Credentials, address: str) -> bytes:
    return b"%b\0%b:%b" % (address.encode(), credentials.user, credentials.secret)
