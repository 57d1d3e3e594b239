"""Clients of an older schema: as long as they fit, answers say that there is a newer one."""

from collections.abc import Collection
from typing import TypeAlias

from policy_server.clients.edition import Edition
from policy_server.contract.operations import NEWER_HEADER, SCHEMA_HEADER, wire_name

Header: TypeAlias = tuple[bytes, bytes]
MADE_FOR = wire_name(SCHEMA_HEADER)


class NewerClients:
    """What answers say to a client, by the schema that it was made for.

    Args:
        version: Of the packages that there are now.
        older: Digests of the schemas that earlier packages were made for.
    """

    def __init__(self, version: str, older: Collection[str]) -> None:
        self._told = ((wire_name(NEWER_HEADER), version.encode()),)
        self._older = frozenset(digest.encode() for digest in older)

    @classmethod
    def of(cls, edition: Edition) -> "NewerClients":
        """What is said of these packages."""
        return cls(edition.package.version, edition.older)

    def told(self, made_for: bytes | None) -> tuple[Header, ...]:
        """The headers of an answer.

        Args:
            made_for: The schema that the client says it was made for.
        """
        return self._told if made_for in self._older else ()


UNKNOWN = NewerClients("", ())
"""No earlier packages are known."""
