"""What to tell of a version that was made, or activated."""

from dataclasses import dataclass
from typing import Literal

from policy_server.proving.report import Check, checks_from
from policy_server.store.manifest import Manifest


@dataclass(frozen=True)
class VersionReport:
    """What became of an upload.

    Attributes:
        version: Name of the version that was made, or that was there already.
        state: Whether it decides now, waits for further parts, or is whole and cannot be taken.
        checks: What its build found out.
    """

    version: str
    state: Literal["active", "complete", "incomplete"]
    checks: tuple[Check, ...]


def report_of(manifest: Manifest) -> VersionReport:
    """What to tell of a version that was just pointed to."""
    state: Literal["active", "incomplete"] = "active" if manifest.complete else "incomplete"
    return VersionReport(manifest.name, state, tuple(checks_from(manifest.checks)))
