"""`load` asks a real server, and what it tells is what that server did."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.web.load import Load, Measured, load_of, measure
from tests.support.server import PASSWORD, USER, Server, free_port, gunicorn, run_command


@pytest.fixture(scope="module")
def server(published_warm: Path) -> Iterator[Server]:
    with gunicorn(published_warm) as running:
        yield running


def ask(server: Server, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command beside that server, with its credentials."""
    given = {"POLICY_SERVER_USER": USER, "POLICY_SERVER_PASSWORD": PASSWORD, **settings}
    url = server.url.removesuffix("/api")
    return run_command("load", url, *options, base_path=server.log.with_name("none"), **given)


def told(done: subprocess.CompletedProcess[str], name: str) -> str:
    """What stands in a row of the report."""
    (row,) = re.findall(rf"^  {name} +(.+)$", done.stdout, re.MULTILINE)
    return str(row)


def count(text: str) -> int:
    return int(re.match(r"[\d,]+", text)[0].replace(",", ""))  # type: ignore[index]


def test_as_many_as_the_server_answers(server: Server) -> None:
    done = ask(server, "--seconds", "1", "--clients", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told(done, "status") == f"200: {count(told(done, 'answers')):,}"
    version = server.get("versions").json()["active"]
    assert told(done, "version").startswith(f"{version}: ")
    seconds = [float(told(done, row).removesuffix(" ms")) for row in ("p50", "p99", "longest")]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_at_a_rate_as_many_are_sent_as_are_due(server: Server) -> None:
    done = ask(server, "--seconds", "2", "--rate", "20", "--batch", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert count(told(done, "answers")) == 40
    assert "predict_batch" in done.stdout
    answers, decisions = (
        float(re.findall(r"([\d,]+) a second", told(done, row))[0].replace(",", ""))
        for row in ("answers", "decisions")
    )
    assert decisions == pytest.approx(5 * answers, abs=3)


def test_what_is_due_and_not_sent_is_told(server: Server) -> None:
    """One connection cannot keep up with so many, on no machine."""
    done = ask(server, "--seconds", "1", "--clients", "1", "--rate", "100000")
    assert done.returncode == 1
    sent = count(told(done, "answers"))
    assert sent + count(told(done, "NOT SENT")) == 100_000


def test_answers_that_are_no_decisions_are_counted_by_their_status(server: Server) -> None:
    load = load_of(server.url, (USER, PASSWORD), batch=None, seconds=0.3, clients=2, rate=None)
    wrong = Load(load.url, load.credentials, [b"{}"], 1, 0.3, 2)
    measured = measure(wrong)
    assert set(measured.statuses) == {400}
    assert not measured.is_sound
    assert f"status     400: {measured.statuses[400]:,}" in measured.report(wrong)


def test_a_server_that_is_gone_gives_no_answers(server: Server) -> None:
    load = load_of(server.url, (USER, PASSWORD), batch=None, seconds=0.3, clients=2, rate=None)
    gone = f"http://127.0.0.1:{free_port()}/api/predict"
    measured = measure(Load(gone, load.credentials, load.bodies, 1, 0.3, 2))
    assert (measured.latencies, set(measured.failures)) == ([], {"ConnectError"})
    assert not measured.is_sound


@pytest.mark.parametrize(
    ("options", "settings", "fault"),
    [
        ((), {"POLICY_SERVER_PASSWORD": "some other password"}, "answered 401"),
        (("--clients", "0"), {}, "--clients"),
        (("--rate", "-1"), {}, "--rate"),
    ],
)
def test_what_cannot_be_asked_is_told(
    server: Server, options: tuple[str, ...], settings: dict[str, str], fault: str
) -> None:
    done = ask(server, *options, **settings)
    assert done.returncode == 2
    assert fault in done.stderr
    assert "Traceback" not in done.stderr


def test_percentiles_are_of_the_answers_that_came() -> None:
    measured = Measured(latencies=[seconds / 1000 for seconds in range(1000, 0, -1)])
    assert measured.percentiles == {50: 0.5, 90: 0.9, 99: 0.99, 99.9: 0.999, 100: 1.0}
    assert Measured().percentiles == {}
