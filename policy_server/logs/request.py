"""What a line of the log says of the request that it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

FIELDS = (
    "request_id",
    "trace_id",
    "policy",
    "version",
    "user",
    "operation",
    "status",
    "duration_ms",
    "stages",
    "observation",
)
"""By their names in JSON, in their order; those that are not known are left out."""

_current: ContextVar[dict[str, Any]] = ContextVar("request", default={})  # noqa: B039  # never changed


def current() -> dict[str, Any]:
    """Fields of the request that is being answered; none where none is."""
    return _current.get()


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Let all that is logged in the block, and in what it awaits, say which request it is about."""
    token: Token[dict[str, Any]] = _current.set({**_current.get(), **fields})
    try:
        yield
    finally:
        _current.reset(token)
