"""Begins the log of this process: whatever is told by whichever library goes one way."""

import io
import logging
import sys
import threading
import traceback
from types import TracebackType
from typing import Any, cast

from policy_server.logs.event import RENDERINGS, Event, LogFormat, Rendering
from policy_server.logs.output import Output
from policy_server.logs.request import FIELDS, current

OURS = "policy_server"
UNFORMATTED = "%r cannot be filled with %r: %s"

LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
"""By their names in settings."""


class Log(logging.Handler):
    """Writes what is told to standard error, an event a line.

    Args:
        log_format: Of lines.
    """

    def __init__(self, log_format: LogFormat = "text") -> None:
        super().__init__()
        self._render: Rendering = RENDERINGS[log_format]
        self.output = Output(self._lost)

    def use(self, log_format: LogFormat) -> None:
        """Write lines of this format from now on."""
        self._render = RENDERINGS[log_format]

    def tell(self, event: Event) -> None:
        """Write an event, without asking whether it is wanted."""
        self.output.write(self._render(event))

    def emit(self, record: logging.LogRecord) -> None:
        """Write what somebody told to a logger."""
        self.output.write(self.line_of(record))

    def line_of(self, record: logging.LogRecord) -> bytes:
        """The line of what somebody told; nothing that is wrong with it reaches them."""
        try:
            message = record.getMessage().rstrip("\n")
        except Exception as error:
            message = UNFORMATTED % (record.msg, record.args, error)
        known = {**current(), **record.__dict__}
        fields = {name: known[name] for name in FIELDS if known.get(name) is not None}
        exception = ""
        if record.exc_info and record.exc_info[0] is not None:
            exception = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        event = Event(record.created, record.levelno, record.name, message, fields, exception)
        return self._render(event)

    def flush(self) -> None:
        """Wait a moment for what is not written yet."""
        self.output.flush()

    def _lost(self, number: int) -> bytes:
        text = f"{number:,} lines of the log were lost: they could not be written"
        record = logging.makeLogRecord({})
        return self._render(Event(record.created, logging.WARNING, __name__, text))


class Rendered(logging.Formatter):
    """Lines of the same form, for files that others write.

    Args:
        log: Whose form it is.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return self._log.line_of(record).decode().removesuffix("\n")


log = Log()
"""Of this process."""


def current_log() -> Log | None:
    """The log that was started, be it by the program before a reload; None before."""
    for handler in logging.getLogger().handlers:
        if hasattr(handler, "line_of"):
            return cast(Log, handler)
    return None


def last_words(reason: object) -> None:
    """Tell why this process ends: in sentences to people, as an event to programs."""
    if isinstance(sys.stderr, Printed):
        logging.getLogger(OURS).critical("%s", reason)
        log.flush()
    elif sys.stderr is not None:
        sys.stderr.write(f"{reason}\n")


def start(log_format: LogFormat, level: str) -> None:
    """Begin the log, or go on with it in another way.

    Args:
        log_format: Of lines.
        level: Of our own loggers, from LEVELS. Of libraries, warnings are told.
    """
    log.use(log_format)
    log.output.open()
    root = logging.getLogger()
    root.handlers[:] = [log]
    root.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(LEVELS[level])
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    if sys.stderr is not None:
        sys.stderr = Printed() if log_format == "json" else sys.__stderr__


class Printed(io.TextIOBase):
    """Standard error for what prints there: each print becomes an event."""

    def __init__(self) -> None:
        self._held = ""

    encoding = "utf-8"

    def writable(self) -> bool:
        """It is written to."""
        return True

    def fileno(self) -> int:
        """Of what is behind it."""
        assert sys.__stderr__ is not None
        return sys.__stderr__.fileno()

    def write(self, text: str) -> int:
        """Take a text; what ends with a line is told."""
        self._held += text
        if self._held.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Tell what was printed."""
        held, self._held = self._held.strip("\n"), ""
        if held:
            logging.getLogger("stderr").warning("%s", held)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(OURS).critical("nothing caught this", exc_info=(kind, error, trace))


def _uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_type is not SystemExit and given.exc_value is not None:
        name = given.thread.name if given.thread else "?"
        cause = (given.exc_type, given.exc_value, given.exc_traceback)
        logging.getLogger(OURS).error("thread %s ended", name, exc_info=cause)


def _unraisable(given: Any) -> None:
    cause = (given.exc_type, given.exc_value, given.exc_traceback)
    logging.getLogger(OURS).error(
        "%s: %r", given.err_msg or "ignored", given.object, exc_info=cause
    )
