"""What commands print, and what they ask."""

import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from policy_server.contract.encoding import not_utf8
from policy_server.errors import Fault, SchemaError
from policy_server.proving.report import Check


def show_progress() -> Callable[[str], None]:
    """Prints what is being done, with the seconds since the start."""
    start = time.monotonic()

    def show(step: str) -> None:
        print(f"  {time.monotonic() - start:5.1f} s  {step} ...", file=sys.stderr, flush=True)

    return show


def print_checks(checks: Iterable[Check]) -> None:
    """Each check, passed or failed, and why."""
    for check in checks:
        detail = check.detail.replace("\n", "\n            ")
        print(f"  {'ok    ' if check.passed else 'FAILED'}  {check.name}: {detail}")


def print_warning(text: str) -> None:
    """Something that goes on, but not as it might be meant."""
    print(f"warning: {text}", file=sys.stderr)


def confirmed(question: str) -> bool:
    """Whether the person at the terminal says yes; without a person, no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def read_text(path: str) -> tuple[str, str]:
    """The text of a schema file, and what to call it."""
    file = "standard input" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise SchemaError("The schema cannot be read.", [Fault(file, str(error))]) from error
    if (encoding := not_utf8(content)) is not None:
        raise SchemaError("The schema cannot be read.", [Fault(file, encoding)])
    return content.decode("utf-8-sig").replace("\r\n", "\n"), file
