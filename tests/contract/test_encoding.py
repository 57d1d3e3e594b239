"""Text that is not UTF-8 is told by the encoding that it is in."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.contract.encoding import not_utf8
from policy_server.errors import UploadRejected
from policy_server.policy.output_mapper import read_output_mapper
from policy_server.proving.golden import read_golden


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_utf8_is_taken_with_its_mark_and_without(encoding: str, text: str) -> None:
    assert not_utf8(text.encode(encoding)) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_is_told_with_its_mark_and_without(encoding: str) -> None:
    told = not_utf8("0: left\r\n".encode(encoding))
    assert told is not None
    assert "UTF-16" in told
    assert "Save it as UTF-8" in told


def test_another_encoding_is_told_with_its_line() -> None:
    told = not_utf8("0: left\r\n1: zurück\r\n".encode("cp1252"))
    assert told is not None
    assert "line 2 has the byte 0xfc" in told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_parts_are_read_as_windows_saves_them(tmp_path: Path, encoding: str, end: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(f"0: zurück{end}1: stay{end}".encode(encoding))
    assert read_output_mapper(file).meanings == ({0: "zurück", 1: "stay"},)
    file.write_bytes(f'{{"observation": {{"x": 1}}, "action": 1}}{end}'.encode(encoding))
    assert read_golden(file, 10_000).places == ["line 1"]


def test_parts_in_utf16_are_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes("0: left\n".encode("utf-16"))
    with pytest.raises(UploadRejected, match="UTF-16"):
        read_output_mapper(file)
    file.write_bytes('{"observation": {"x": 1}, "action": 1}\n'.encode("utf-16"))
    with pytest.raises(UploadRejected, match="UTF-16"):
        read_golden(file, 10_000)
