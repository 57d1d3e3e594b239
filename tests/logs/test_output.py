"""The log holds nothing up, wherever it goes; an event is a line, whatever is in it."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy_server.logs.event import Event, as_json, as_text
from policy_server.logs.output import MOST_WAITING_BYTES, Output

LINE = b"x" * 999 + b"\n"
LINES = 2 * MOST_WAITING_BYTES // len(LINE)
HOSTILE = (
    "first\nsecond\r\n2026-11-27T10:12:10.123Z ERROR 1 policy_server [status=200]: forged",
    "\x1b[2J\x1b]0;title\x07 bell \x00 nul \x7f",
    "\x85 \u2028 \u2029 \x0b \x0c are ends of lines to some",
    "\u202e turned round \u2066",
    b"no \xff UTF-8 \xc3".decode("utf-8", "surrogateescape"),
    "half \ud83d of a character",
    'quotes " and \\ and = and [brackets]',
    "Grüße, \U0001f600",
)


def events() -> list[Event]:
    return [
        Event(1.0, 30, each, each, {"user": each, "status": 200}, f"Trace\n  {each}")
        for each in HOSTILE
    ]


def test_an_event_is_one_line_of_json_whatever_is_in_it() -> None:
    for event, text in zip(events(), HOSTILE, strict=True):
        line = as_json(event).decode()
        assert line.splitlines() == [line[:-1]]
        assert line[:-1].isprintable()
        read = json.loads(line)
        assert read["message"] == read["user"] == read["logger"]
        shown = text.encode("utf-8", "backslashreplace").decode()
        assert (read["message"], read["exception"]) == (shown, f"Trace\n  {shown}")


def test_an_event_is_one_line_of_text_and_what_follows_of_it_is_indented() -> None:
    for event in events():
        first, *rest = as_text(event).decode().removesuffix("\n").split("\n")
        assert all(line.isprintable() for line in (first, *rest))
        assert first.startswith("1970-01-01T00:00:01.000Z WARNING ")
        assert rest
        assert all(line.startswith("    ") for line in rest)


def test_what_is_known_of_a_request_cannot_be_forged_in_text() -> None:
    value = "eve status=500]: all is lost"
    line = as_text(Event(1.0, 20, "x", "status=404]:", {"user": value, "status": 200})).decode()
    assert f' x [user="{value}" status=200]: ' in line


def test_times_are_rounded_down_to_milliseconds_as_rfc_3339_has_them() -> None:
    line = as_text(Event(1795774330.9999, 20, "x", "y")).decode()
    assert line.startswith("2026-11-27T10:12:10.999Z INFO ")


def lost_line(number: int) -> bytes:
    return b"lost %d\n" % number


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        for each in (reader, writer):
            with contextlib.suppress(OSError):
                os.close(each)


@contextlib.contextmanager
def socket_pair() -> Iterator[tuple[int, int]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours.fileno(), theirs.fileno()


def read_all(reader: int) -> bytes:
    """All that comes, until nothing has for a while."""
    read = b""
    while select.select([reader], [], [], 1.0)[0]:
        read += os.read(reader, 1_000_000)
    return read


@pytest.mark.parametrize("ends", [pipe, socket_pair])
def test_nobody_waits_for_a_reader_that_sleeps_and_it_gets_all_later(
    ends: Callable[[], contextlib.AbstractContextManager[tuple[int, int]]],
) -> None:
    with ends() as (reader, writer):
        output = Output(lost_line, writer)
        began = time.monotonic()
        for number in range(LINES):
            output.write(b"%06d " % number + LINE)
        assert time.monotonic() - began < 10
        lines = read_all(reader).split(b"\n")[:-1]
        kept = [int(line[:6]) for line in lines if not line.startswith(b"lost")]
        assert kept == list(range(len(kept)))  # in order, each whole
        assert len(kept) * len(LINE) > MOST_WAITING_BYTES
        assert lines[-1] == b"lost %d" % (LINES - len(kept))


def await_text(file: Path, text: bytes) -> None:
    deadline = time.monotonic() + 10
    while text not in file.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_reader_that_has_gone_holds_nobody_up_and_the_next_one_learns_what_was_lost(
    tmp_path: Path,
) -> None:
    with pipe() as (reader, writer):
        output = Output(lost_line, writer)
        os.close(reader)
        for _ in range(100):
            output.write(LINE)
        file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, writer)
        output.open()
        output.write(b"after\n")
        output.flush()
        await_text(tmp_path / "log", b"lost")
        assert (tmp_path / "log").read_bytes() == b"after\nlost 100\n"
        os.close(file)


def test_a_full_disk_costs_lines_and_the_log_says_how_many(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    at = os.dup(full)
    output = Output(lost_line, at)
    for _ in range(3):
        output.write(LINE)
    os.dup2(file, at)  # there is room again
    output.open()
    output.write(b"after\n")
    output.flush()
    await_text(tmp_path / "log", b"lost")
    assert (tmp_path / "log").read_bytes() == b"after\nlost 3\n"
    for each in (full, file, at):
        os.close(each)


CLOSED = """\
import os
from policy_server.logs import process_log
import logging
process_log.start("text", "info")
taken = os.open({path!r}, os.O_RDWR)
logging.getLogger("policy_server").info("a line that is lost")
raise SystemExit(taken)
"""


def test_a_file_that_got_the_number_of_standard_error_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"whole")
    script = CLOSED.format(path=str(file))
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, script]
    done = subprocess.run(command, check=False, timeout=60)
    assert done.returncode == 2  # it had that number
    assert file.read_bytes() == b"whole"


TOLD = """\
import logging, sys, threading, warnings
from policy_server.logs import process_log
process_log.start({form!r}, "info")
logging.getLogger("policy_server.x").info("ours %s", "\\n")
logging.getLogger("uvicorn.error").warning("theirs")
logging.getLogger("policy_server.x").info("cannot be filled: %d", "word")
warnings.warn("take care")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
class Grave:
    def __del__(self):
        raise ValueError("from the grave")
Grave()
print("printed", file=sys.stderr)
raise ValueError("uncaught\\nand long")
"""
SAID = ("ours", "theirs", "cannot be filled", "take care", "thread", "Grave", "nothing caught this")


def told(form: str, **environment: str) -> list[str]:
    command = [sys.executable, "-c", TOLD.format(form=form)]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    return done.stderr.decode("utf-8").splitlines()


def test_all_that_a_process_tells_is_json() -> None:
    lines = [json.loads(line) for line in told("json", LC_ALL="C", PYTHONUTF8="0")]
    assert len(lines) == len(SAID) + 1
    for line, said in zip(lines, [*SAID[:6], "printed", SAID[6]], strict=True):
        assert said in line["message"]
        assert list(line)[:5] == ["time", "level", "pid", "logger", "message"]
    assert "uncaught\nand long" in lines[-1]["exception"]


def test_all_that_a_process_tells_is_text_of_one_form() -> None:
    lines = [line for line in told("text") if line[:1] != " "]
    assert [line for line in lines if not line.startswith("20")] == ["printed"]
    for said in SAID:
        assert sum(said in line for line in lines) == 1
