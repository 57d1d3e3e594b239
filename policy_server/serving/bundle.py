"""A policy as a whole, as it is published in one step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from policy_server.version.parts import Part


class ReadableFile(Protocol):
    """What a part is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Read bytes."""

    def seek(self, offset: int, /) -> int:
        """Go to a position."""


@dataclass(frozen=True)
class Bundle:
    """A policy as a whole: what is not in it, its version does not have.

    Attributes:
        parts: The file of each part.
        schema: The observation schema, YAML; None leaves the contract as it is.
        schema_file: What faults of the schema call it.
    """

    parts: Mapping[Part, ReadableFile]
    schema: bytes | None = None
    schema_file: str = "schema.yaml"
