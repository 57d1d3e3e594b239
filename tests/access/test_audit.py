"""The audit log is whole, in order and bounded, whoever writes to it at the same time."""

import logging
import multiprocessing
import resource
from pathlib import Path

import pytest

from policy_server.access import audit
from policy_server.access.audit import AuditLog, Entry
from policy_server.errors import StoreFailed

PROCESSES, ENTRIES = 4, 25


def entry(number: int, detail: str = "") -> Entry:
    return Entry(
        who=f"user {number}",
        kind="user",
        address="203.0.113.5",
        operation="upload_model",
        outcome="done",
        detail=detail,
    )


def write_many(base: Path) -> None:
    for number in range(ENTRIES):
        AuditLog(base).write(entry(number))


def test_entries_of_several_processes_follow_each_other_without_a_gap(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path,)) for _ in range(PROCESSES)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    page = AuditLog(tmp_path).page(1000)
    assert [each.id for each in page.entries] == list(range(PROCESSES * ENTRIES, 0, -1))
    assert [each.time for each in page.entries] == sorted(
        (each.time for each in page.entries), reverse=True
    )
    assert page.before is None
    file = tmp_path / "audit" / "audit.jsonl"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_pages_are_all_of_it(tmp_path: Path) -> None:
    write_many(tmp_path)
    log, found, before = AuditLog(tmp_path), [], None
    while True:
        page = log.page(4, before)
        found += [each.id for each in page.entries]
        assert len(page.entries) <= 4
        if page.before is None:
            break
        before = page.before
    assert found == list(range(ENTRIES, 0, -1))


def test_it_is_put_aside_when_it_is_long_and_the_oldest_goes(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, most_bytes=1_000)
    for number in range(200):
        log.write(entry(number))
    folder = tmp_path / "audit"
    names = {"audit.jsonl", *(f"audit.jsonl.{each}" for each in range(1, audit.MOST_FILES))}
    assert {path.name for path in folder.iterdir()} == {"lock", *names}
    assert sum(path.stat().st_size for path in folder.iterdir()) < audit.MOST_FILES * 1_300
    ids = [each.id for each in log.page(1000).entries]
    assert ids == list(range(200, 200 - len(ids), -1))
    assert 40 < len(ids) < 100


def test_a_line_that_was_cut_costs_no_other(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.write(entry(1))
    log.write(entry(2))
    file = tmp_path / "audit" / "audit.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    log.write(entry(3))
    log.write(entry(4))
    assert [each.who for each in log.page(10).entries] == ["user 4", "user 3", "user 1"]


def test_on_a_full_disk_the_log_has_the_entry_and_the_file_stays_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(tmp_path)
    log.write(entry(1))
    file = tmp_path / "audit" / "audit.jsonl"
    before = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with caplog.at_level(logging.ERROR):
            log.write(entry(2, "which is not lost"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "which is not lost" in caplog.text
    assert file.read_bytes() == before
    log.write(entry(3))
    assert [each.id for each in log.page(10).entries] == [2, 1]


def test_the_command_line_is_written_down_with_what_came_of_it(tmp_path: Path) -> None:
    with audit.audited(tmp_path, "key add", "ci") as written:
        written.subject = "ci (psk_1)"
    with pytest.raises(StoreFailed), audit.audited(tmp_path, "key add", "ci"):
        raise StoreFailed("the disk is full")
    failed, done = AuditLog(tmp_path).page(10).entries
    assert (done.subject, done.outcome, done.kind) == ("ci (psk_1)", "done", "system")
    assert (failed.outcome, failed.detail) == ("refused", "the disk is full")
    assert done.who
    assert done.address == "command line"
