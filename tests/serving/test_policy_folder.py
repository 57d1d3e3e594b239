"""A folder gives the parts that lie in it under the names that people give them."""

import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.limits import BuildLimits
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.version.parts import Part
from tests.support.external_weights import EXPECTED, ROWS
from tests.support.external_weights import write as write_network

MODEL = {"saved_model.pb": b"graph", "variables/variables.index": b"index"}


def read(folder: Path) -> dict[Part, bytes]:
    with open_policy_folder(folder) as bundle:
        return {part: file.read() for part, file in bundle.parts.items()}


def write_saved_model(folder: Path) -> None:
    for name, content in MODEL.items():
        file = folder / "saved_model" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.mark.parametrize("name", ["saved_model.zip", "model.zip", "policy.onnx", "model.onnx"])
def test_a_model_is_found_by_its_usual_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"model")
    (tmp_path / "README.md").write_bytes(b"text")
    assert read(tmp_path) == {Part.MODEL: b"model"}


def test_all_parts_are_found(tmp_path: Path) -> None:
    for name in ("model.onnx", "preprocessor.py", "output_mapper.yaml", "schema.yaml"):
        (tmp_path / name).write_text(name)
    assert read(tmp_path) == {
        Part.MODEL: b"model.onnx",
        Part.PREPROCESSOR: b"preprocessor.py",
        Part.OUTPUT_MAPPER: b"output_mapper.yaml",
    }
    with open_policy_folder(tmp_path) as bundle:
        assert (bundle.schema, bundle.schema_file) == (b"schema.yaml", f"{tmp_path}/schema.yaml")


def test_files_are_closed_again(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "preprocessor.py").write_bytes(b"code")
    with open_policy_folder(tmp_path) as bundle:
        files = list(bundle.parts.values())
    for file in files:
        with pytest.raises(ValueError, match="closed file"):
            file.read()


@pytest.mark.parametrize("time", [0, 1_600_000_000])
def test_a_saved_model_may_be_a_folder_of_any_age(tmp_path: Path, time: int) -> None:
    """Reproducible builds give files the time 0, before which no zip goes back: that is 1980."""
    write_saved_model(tmp_path)
    for path in tmp_path.rglob("*"):
        os.utime(path, (time, time))
    packed = read(tmp_path)[Part.MODEL]
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
    upload = tmp_path / "upload"
    upload.write_bytes(packed)
    unpack_saved_model(upload, tmp_path / "unpacked", BuildLimits())
    unpacked = {
        path.relative_to(tmp_path / "unpacked").as_posix(): path.read_bytes()
        for path in (tmp_path / "unpacked").rglob("*")
        if path.is_file()
    }
    assert unpacked == MODEL


def test_a_file_comes_before_the_folder(tmp_path: Path) -> None:
    write_saved_model(tmp_path)
    (tmp_path / "policy.onnx").write_bytes(b"model")
    assert read(tmp_path) == {Part.MODEL: b"model"}


def test_a_saved_model_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    write_saved_model(tmp_path)
    for path in (tmp_path / "saved_model").iterdir():
        path.rename(tmp_path / path.name)
    (tmp_path / "saved_model").rmdir()
    (tmp_path / "train.py").write_bytes(b"code")
    with zipfile.ZipFile(io.BytesIO(read(tmp_path)[Part.MODEL])) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    assert files == {f"saved_model/{name}": content for name, content in MODEL.items()}


@pytest.mark.parametrize("name", ["policy.onnx", "model.onnx"])
def test_weights_beside_an_onnx_file_are_read(tmp_path: Path, name: str) -> None:
    write_network(tmp_path, name)
    assert (tmp_path / f"{name}.data").is_file()
    packed = read(tmp_path)[Part.MODEL]
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "network.onnx").write_bytes(packed)
    outputs = OnnxEngine(tmp_path / "alone" / "network.onnx").run(ROWS)
    np.testing.assert_allclose(outputs, EXPECTED, atol=1e-5)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    write_network(tmp_path, "policy.onnx")
    (tmp_path / "policy.onnx.data").unlink()
    with pytest.raises(UploadRejected, match=r"policy\.onnx\.data"):
        read(tmp_path)


def test_a_web_page_under_the_name_of_a_model_is_told(tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><script>window.location = 'x'</script>"
    (tmp_path / "policy.onnx").write_bytes(page)
    with pytest.raises(UploadRejected, match="web page"):
        read(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["policy.pt", "ppo_cartpole.zip", "policy.tflite", "model.keras", "dqn.h5", "vecnormalize.pkl"],
)
def test_another_file_that_a_model_may_be_reaches_the_build(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / "train.py").write_bytes(b"code")
    assert read(tmp_path) == {Part.MODEL: b"content"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("policy.sentis", "Sentis"),
        ("policy.engine", "TensorRT"),
        ("policy.bin", "OpenVINO"),
        ("rllib_checkpoint.json", "RLlib"),
        ("manifest.ocdbt", "Orbax"),
    ],
)
def test_what_only_a_name_tells_is_told(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    with pytest.raises(UploadRejected, match=told):
        read(tmp_path)


def test_of_several_files_that_may_be_it_none_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "first.pt").write_bytes(b"content")
    (tmp_path / "best.zip").write_bytes(b"content")
    with pytest.raises(UploadRejected, match=r"It has best\.zip, first\.pt: which\?"):
        read(tmp_path)


def test_a_folder_without_a_model_says_which_names_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "preprocessor.py").write_bytes(b"code")
    with pytest.raises(UploadRejected) as caught:
        read(tmp_path)
    for name in ("saved_model.zip", "model.zip", "policy.onnx", "model.onnx", "saved_model is"):
        assert name in str(caught.value)


def test_no_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UploadRejected, match="is not a folder"):
        read(tmp_path / "absent")


@pytest.mark.parametrize("name", ["preprocessor.py", "preprocessing.yaml"])
def test_a_preprocessor_is_code_or_declared(name: str, tmp_path: Path) -> None:
    content = {"preprocessor.py": b"import math\n", "preprocessing.yaml": b"features:\n  - {}\n"}
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / name).write_bytes(content[name])
    assert read(tmp_path)[Part.PREPROCESSOR] == content[name]


def test_statistics_beside_it_are_carried_along(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    np.savez(tmp_path / "s.npz", mean=np.array([0.5]), std=np.array([2.0]))
    (tmp_path / "preprocessing.yaml").write_text("normalise: {file: s.npz}")
    assert read(tmp_path)[Part.PREPROCESSOR] == b"normalise: {mean: [0.5], std: [2.0]}"


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"preprocessor.py": "x = 1", "preprocessing.yaml": "features: []"},
            "holds preprocessor.py and preprocessing.yaml: keep one of them.",
        ),
        (
            {"preprocessor.py": "features: []"},
            "preprocessor.py begins as preprocessing.yaml does: call it that",
        ),
        (
            {"preprocessing.yaml": "import math"},
            "preprocessing.yaml does not begin as it is called",
        ),
        ({"preprocessing.yaml": ""}, "preprocessing.yaml does not begin as it is called"),
        (
            {"preprocessing.yaml": "features: [é]".encode("latin-1")},
            "it is not UTF-8",
        ),
        ({"preprocessing.yaml": "features: []".encode("utf-16")}, "it is text in UTF-16"),
    ],
)
def test_a_preprocessor_is_what_its_name_says(
    files: dict[str, str | bytes], told: str, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"model")
    for name, content in files.items():
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UploadRejected, match=re.escape(told)):
        read(tmp_path)
