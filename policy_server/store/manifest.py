"""What is known of a version, as it lies in the version's folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from policy_server.errors import VersionNotFound

FILE = "manifest.json"


def number_of(name: str) -> int:
    """The running number in the name of a version; 0 where it has none."""
    head = name.split("-", maxsplit=1)[0]
    return int(head) if head.isdigit() else 0


@dataclass(frozen=True)
class Manifest:
    """What is known of a version. What has a default is missing where an older server wrote it.

    Attributes:
        name: A running number and the beginning of `hash`.
        created: Seconds since 1970; for people, nothing is decided by it.
        contract: Digest of the contract that it was proven against.
        parts: Names of its parts.
        checks: What its build found out.
        complete: It can serve.
        created_by: The user who made it.
        engine: What runs its network; None while it has none.
        hash: SHA-256 over what was uploaded: versions of one content have one hash.
        files: Path below the version's folder -> SHA-256, of every file but this one.
        bytes: Size of these files.
        schema_hash: Hash of the observation schema that it was proven against.
    """

    name: str
    created: float
    contract: str
    parts: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]
    complete: bool
    created_by: str = ""
    engine: str | None = None
    hash: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    bytes: int = 0
    schema_hash: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a version's folder.

        Raises:
            VersionNotFound: There is no such version, or its manifest is damaged.
        """
        try:
            return msgspec.json.decode((folder / FILE).read_bytes(), type=cls)
        except (OSError, ValueError) as error:
            raise VersionNotFound(f"There is no sound version {folder.name!r}: {error}") from error

    def write(self, folder: Path) -> None:
        """Keep the manifest in a version's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
