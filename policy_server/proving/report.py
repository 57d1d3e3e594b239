"""What a build found out."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from policy_server.errors import Difference, DifferingCase, Fault, UploadRejected
from policy_server.version.parts import Part


@dataclass(frozen=True)
class Check:
    """One thing that a build made sure of, or did not.

    Attributes:
        name: Short and stable, for programs.
        detail: What was compared, with both numbers, for people.
    """

    name: str
    passed: bool
    detail: str


@dataclass
class BuildReport:
    """The outcome of a build.

    Attributes:
        checks: In the order they were made.
        missing: Parts without which the version cannot serve; empty means that it can.
        rejected: Why the uploaded part can never serve; None where it may.
        faults: What is wrong with it, one by one, where there is more to say.
        cases: Golden cases with which it does not agree.
    """

    checks: list[Check] = field(default_factory=list)
    missing: list[Part] = field(default_factory=list)
    rejected: str | None = None
    faults: list[Fault] = field(default_factory=list)
    cases: list[DifferingCase] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """The version can serve."""
        return not self.missing and self.rejected is None

    def passed(self, name: str, detail: str) -> None:
        """Note a check that passed."""
        self.checks.append(Check(name, True, detail))

    def failed(self, name: str, detail: str, missing: Part) -> None:
        """Note a check that did not pass, and the part that would mend it."""
        self.checks.append(Check(name, False, detail))
        self.missing.append(missing)

    def reject(self, error: UploadRejected) -> None:
        """Note that the uploaded part can never serve."""
        self.rejected, self.faults = error.summary, list(error.faults)
        self.cases = list(error.cases)

    def rejection(self) -> UploadRejected:
        """The error that says why the uploaded part can never serve."""
        return UploadRejected(self.rejected or "", self.faults, self.cases)

    def raise_unless_ready(self) -> None:
        """Raise UploadRejected if the version cannot serve."""
        if not self.ready:
            failed = [check.detail for check in self.checks if not check.passed]
            raise UploadRejected(self.rejected or "; ".join(failed), self.faults, self.cases)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "BuildReport":
        """The report that `as_dict` gave."""
        return cls(
            checks_from(fields["checks"]),
            [Part(part) for part in fields["missing"]],
            fields["rejected"],
            [Fault(**fault) for fault in fields["faults"]],
            [_case(**case) for case in fields["cases"]],
        )


def _case(place: str, differences: Iterable[dict[str, str]], observation: str) -> DifferingCase:
    return DifferingCase(place, [Difference(**each) for each in differences], observation)


def checks_from(rows: Iterable[dict[str, Any]]) -> list[Check]:
    """Checks from their JSON form."""
    return [Check(**row) for row in rows]
