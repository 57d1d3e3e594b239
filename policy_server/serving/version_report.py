"""What to tell of a version that was made, or activated."""

from dataclasses import dataclass
from typing import Literal

from policy_server.proving.report import Check, checks_from
from policy_server.store.manifest import Manifest

State = Literal["active", "complete", "incomplete"]


@dataclass(frozen=True)
class VersionReport:
    """What became of an upload.

    Attributes:
        version: Name of the version that was made, or that was there already.
        state: Whether it decides now, waits for further parts, or is whole and does not decide, as
            nobody asked for that, or as it cannot be taken.
        checks: What its build found out.
    """

    version: str
    state: State
    checks: tuple[Check, ...]


def report_of(manifest: Manifest) -> VersionReport:
    """What to tell of a version that was just pointed to."""
    return told_of(manifest, "active" if manifest.complete else "incomplete")


def told_of(manifest: Manifest, state: State) -> VersionReport:
    """What to tell of a version that is in a state."""
    return VersionReport(manifest.name, state, tuple(checks_from(manifest.checks)))
