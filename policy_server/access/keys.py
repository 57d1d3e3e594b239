"""API keys, which programs send."""

import hashlib
import logging
import math
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from policy_server.access.encodings import plain, text_of
from policy_server.access.followed_file import FollowedFile
from policy_server.access.identity import Identity
from policy_server.access.records import KeyRecord, RecordFile, role_of
from policy_server.access.secret_files import secret_in
from policy_server.access.source import Credentials
from policy_server.contract.operations import Role

SETTING = "POLICY_SERVER_API_KEYS"
LEAST_CHARACTERS = 16
MOST_BYTES = 1_000_000
KEY = re.compile(r"psk_([0-9a-f]{8})_[0-9a-f]{64}")
"""A key of ours: `psk` for policy server key, its id, and 256 bits that nobody can guess."""


logger = logging.getLogger(__name__)


def new_key() -> tuple[str, str]:
    """The id of a new key, and the key."""
    name = secrets.token_hex(4)
    return name, f"psk_{name}_{secrets.token_hex(32)}"


def hash_key(key: str) -> str:
    """What is kept of a key: it has more bits than can be tried, so that a plain hash will do."""
    return hashlib.sha256(plain(key)).hexdigest()


def read_keys(text: str) -> tuple[str, ...]:
    """The keys in a setting, or in a file: separated by commas or lines.

    Raises:
        ValueError: One is too short.
    """
    keys = tuple(key.strip() for key in re.split(r"[,\r\n]", text) if key.strip())
    if any(len(key) < LEAST_CHARACTERS for key in keys):
        raise ValueError(
            f"is a list of keys of {LEAST_CHARACTERS} characters or more, separated by commas"
        )
    return keys


class Keys:
    """A source of API keys.

    Args:
        given: Keys of the settings, which may ask the policy.
        given_file: A file of such keys.
        file: All others.
    """

    def __init__(
        self, given: Iterable[str], given_file: Path | None, file: RecordFile[KeyRecord]
    ) -> None:
        self._given = tuple(given)
        self._given_file = None if given_file is None else FollowedFile(given_file, MOST_BYTES)
        self._file = file
        self._known: dict[bytes, Identity] = {}
        self.refresh()
        self._read()

    def refresh(self) -> bool:
        """Take up what changed."""
        changed = self._given_file is not None and self._given_file.refresh()
        changed = self._file.refresh() or changed
        if changed:
            self._read()
        return changed

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; found by digests, so that the time it takes tells nothing of a key."""
        if credentials.scheme == "basic":
            return None
        sent = credentials.secret
        identity = self._known.get(hashlib.sha256(sent).digest())
        if identity is None and not sent.isascii():
            identity = self._known.get(hashlib.sha256(plain(text_of(sent))).digest())
        if identity is not None and identity.expires <= time.time():
            return None
        return identity

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are; None where nobody's."""
        return None  # `recall` knows them all

    def describe(self, credentials: Credentials) -> str:
        """How logs call a key that was refused."""
        match = KEY.fullmatch(credentials.secret.decode("latin-1"))
        if match is None:
            return "a key or token that is not known"
        record = self._file.records.get(match[1])
        if record is None:
            return f"the key psk_{match[1]}, which is not known"
        expired = record.expires is not None and record.expires <= time.time()
        return f"the key {record.name} (psk_{match[1]}{', expired' if expired else ''})"

    def _read(self) -> None:
        given = [*self._given, *self._keys_in_file()]
        self._known = {
            hashlib.sha256(plain(key)).digest(): Identity(
                f"{SETTING}[{index}]", "key", Role.PREDICT
            )
            for index, key in enumerate(given)
        }
        for record in self._file.records.values():
            expires = math.inf if record.expires is None else record.expires
            identity = Identity(record.name, "key", role_of(record), expires)
            self._known[bytes.fromhex(record.hash)] = identity

    def _keys_in_file(self) -> tuple[str, ...]:
        if self._given_file is None:
            return ()
        try:
            return read_keys(secret_in(self._given_file.content or b"") or "")
        except ValueError as error:
            logger.error("the keys in %s count for nothing: it %s", self._given_file.path, error)
            return ()
