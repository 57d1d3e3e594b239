"""Files that others read while they are written."""

from pathlib import Path

import pytest

from policy_server.files import write_atomically


class TestWriteAtomically:
    def test_it_replaces_the_text_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        path = tmp_path / "folder" / "file"
        write_atomically(path, "old")
        write_atomically(path, "größer")
        assert path.read_bytes() == "größer".encode()
        assert list(path.parent.iterdir()) == [path]
        assert path.stat().st_mode & 0o777 == 0o644

    def test_a_reader_that_had_it_open_keeps_the_old_text(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        write_atomically(path, "old")
        with path.open() as reader:
            write_atomically(path, "new and longer")
            assert reader.read() == "old"

    def test_a_write_that_fails_leaves_the_old_text_and_nothing_beside(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        write_atomically(path, "old")
        with pytest.raises(UnicodeEncodeError):
            write_atomically(path, "x" * 100_000 + "\ud800")
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_replacement_that_fails_leaves_nothing_beside(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        (path / "inner").mkdir(parents=True)
        with pytest.raises(OSError, match="director"):
            write_atomically(path, "new")
        assert list(tmp_path.iterdir()) == [path]

    def test_bytes_stay_as_they_are(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "file", b"\xff\r\n\0")
        assert (tmp_path / "file").read_bytes() == b"\xff\r\n\0"

    def test_what_a_crash_left_unfinished_is_written_over(self, tmp_path: Path) -> None:
        path, unfinished = tmp_path / "file", tmp_path / "file.new"
        unfinished.write_text("much longer than what is written now")
        write_atomically(path, "new", unfinished)
        assert path.read_text() == "new"
        assert list(tmp_path.iterdir()) == [path]
