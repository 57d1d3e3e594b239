"""Zips from the wild give their SavedModels; other zips are told the export that serves."""

import zipfile
from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.limits import BuildLimits
from tests.support.corpus import CORPUS


@pytest.mark.parametrize(
    "name", ["lpoc", "mouse_and_cheese", "mouse_and_cheese_compact", "simple_stochastic_tuple"]
)
def test_they_unpack(name: str, tmp_path: Path) -> None:
    source = CORPUS / name / "saved_model.zip"
    unpack_saved_model(source, tmp_path / "m", BuildLimits())
    with zipfile.ZipFile(source) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    wanted = {
        inner: size
        for inner, size in sizes.items()
        if size and "__MACOSX" not in inner and "tfevents" not in inner
    }
    found = {
        str(path.relative_to(tmp_path / "m")): path.stat().st_size
        for path in (tmp_path / "m").rglob("*")
        if path.is_file()
    }
    assert found == wanted


@pytest.mark.parametrize("name", ["cartpole_ppo", "digits_ppo", "pendulum_ppo"])
def test_torch_exports_are_told_to_be_onnx(name: str, tmp_path: Path) -> None:
    with pytest.raises(UploadRejected) as caught:
        unpack_saved_model(CORPUS / name / "policy.pt2", tmp_path / "m", BuildLimits())
    assert "PyTorch" in str(caught.value)
    assert "torch.onnx.export" in str(caught.value)
