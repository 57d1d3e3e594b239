"""A build, and who wants to know what came of it and how long it took."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from policy_server.proving.build import build
from policy_server.proving.report import BuildReport
from policy_server.serving.stages import now

Outcome = Literal["ready", "incomplete", "rejected", "failed"]
"""What came of a build: it can serve, waits for parts, never can, or did not get so far."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
Built = Callable[[Outcome, int], None]
"""Is told of a build, and its nanoseconds; in the thread of the build."""


def observed_build(built: Built, *parts: Any) -> BuildReport:
    """Build a version, and tell of it.

    Args:
        built: Is told.
        parts: What `build` takes.
    """
    began, report = now(), None
    try:
        report = build(*parts)
        return report
    finally:
        if report is None:
            built("failed", now() - began)
        elif report.rejected is not None:
            built("rejected", now() - began)
        else:
            built("ready" if report.ready else "incomplete", now() - began)
