"""What tells the packages of one contract from those before: their version, and what changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from policy_server.clients.names import Package, package_version
from policy_server.contract.compatibility import Note, release_notes
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.contract.releases import ReleaseHistory


@dataclass(frozen=True)
class Edition:
    """The packages of one contract.

    Attributes:
        package: What they are called.
        older: Digests of the schemas that earlier packages were made for.
        changes: What each version changed, the newest first.
    """

    package: Package
    older: frozenset[str]
    changes: Sequence[tuple[str, Sequence[Note]]]

    @classmethod
    def of(cls, base_path: Path, contract: Contract) -> "Edition":
        """The packages of a contract, given those that were recorded before; it is recorded."""
        schemas = SchemaHistory(base_path)
        schemas.save(contract.schema)
        releases = ReleaseHistory(base_path).record(contract)
        before = [None, *releases[:-1]]
        notes = [release_notes(schemas, *pair) for pair in zip(before, releases, strict=True)]
        versions = [
            package_version(release.version or contract.version, number)
            for number, release in enumerate(releases)
        ]
        changes = list(zip(versions, notes, strict=True))[::-1]
        package = Package.of(contract.title, contract.version, len(releases) - 1)
        digests = {release.schema for release in releases} - {contract.schema.digest}
        return cls(package, frozenset(digests), changes)

    def changelog(self, heading: str) -> str:
        """What changed, in Markdown.

        Args:
            heading: What stands before each version.
        """
        sections = [
            "\n".join([f"{heading} {version}", "", *(_line(note) for note in notes)])
            for version, notes in self.changes
        ]
        return "\n\n".join(sections) + "\n"


def _line(note: Note) -> str:
    return f"- {'**Breaking:** ' if note.breaks else ''}{note.text}"
