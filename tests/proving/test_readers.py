"""Which reader a model's first bytes call."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.errors import UploadRejected
from policy_server.proving.description import Description
from policy_server.proving.limits import BuildLimits
from policy_server.proving.readers.onnx import is_onnx
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.readers.registry import READERS, read_model
from policy_server.proving.readers.saved_model import is_zip
from tests.proving.test_formats import onnx_beginnings
from tests.support.contracts import contract_of


@given(content=onnx_beginnings())
def test_onnx_is_recognised(content: bytes) -> None:
    assert is_onnx(content)
    assert not is_zip(content)


@given(content=st.binary(min_size=1, max_size=20))
def test_no_file_is_claimed_twice(content: bytes) -> None:
    assert sum(reader.recognises(content) for reader in READERS) <= 1


@pytest.mark.parametrize("content", [b"\xf0\x9f\0\1" * 40, b"\xff", b"\x00\x01\x00\x02"])
def test_what_nobody_recognises_is_refused_with_what_is_wanted(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "upload"
    file.write_bytes(content)
    upload = ModelUpload(
        file, tmp_path, contract_of(), Description(), BuildLimits(), lambda _: None
    )
    with pytest.raises(UploadRejected, match=r"not a sound ONNX file, nor a zip.* SavedModel"):
        read_model(upload)
