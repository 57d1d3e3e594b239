"""The files of users and keys: whole at any moment, and nobody is in a damaged one."""

import resource
from pathlib import Path

import pytest

from policy_server.access.followed_file import FollowedFile
from policy_server.access.records import KeyRecord, keys_file, users_file
from policy_server.errors import ConfigurationError, StoreFailed

RECORD = KeyRecord("ci", "0" * 64, "predict", "2026-01-01T00:00:00+00:00")


def test_records_are_for_the_owner_alone_and_survive(tmp_path: Path) -> None:
    with keys_file(tmp_path).changing() as keys:
        keys["1a"] = RECORD
    file = keys_file(tmp_path)
    assert file.read() == {"1a": RECORD}
    assert (file.path.stat().st_mode & 0o777, file.path.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    assert file.refresh()
    assert file.records == {"1a": RECORD}
    assert not file.path.is_symlink()
    assert users_file(tmp_path).read() == {}


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    file = keys_file(tmp_path)
    with file.changing() as keys:
        keys["1a"] = RECORD
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
    try:
        with pytest.raises(StoreFailed, match="Nothing was changed"), file.changing() as keys:
            keys["2b"] = RECORD
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read() == {"1a": RECORD}
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["keys.json", "lock"]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"1a": {"name": "ci"}}', b"\xff"])
def test_nobody_is_in_a_damaged_file_and_it_is_not_overwritten(
    tmp_path: Path, content: bytes
) -> None:
    file = keys_file(tmp_path)
    with file.changing() as keys:
        keys["1a"] = RECORD
    file.refresh()
    file.path.write_bytes(content)
    assert file.refresh()
    assert file.records == {}
    with pytest.raises(ConfigurationError, match="damaged"), file.changing():
        pass
    assert file.path.read_bytes() == content


def test_a_file_is_followed_through_links_and_out_of_existence(tmp_path: Path) -> None:
    """As Kubernetes mounts secrets: a link to a folder, replaced in one step."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "secret").write_text(name)
    link = tmp_path / "data"
    link.symlink_to("first")
    followed = FollowedFile(link / "secret", 100)
    assert followed.refresh()
    assert followed.content == b"first"
    assert not followed.refresh()
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").replace(link)
    assert followed.refresh()
    assert followed.content == b"second"
    (tmp_path / "second" / "secret").write_text("x" * 101)
    assert not followed.refresh()
    assert followed.content == b"second", "one that is too long"
    (tmp_path / "second" / "secret").write_text("SECOND")
    assert followed.refresh()
    assert followed.content == b"SECOND", "as long, and at once"
    link.unlink()
    assert followed.refresh()
    assert followed.content is None
