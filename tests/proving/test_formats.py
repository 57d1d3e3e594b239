"""A file that is no model is refused by name, with the export of its kind that would serve."""

import contextlib
import json
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from policy_server.errors import UploadRejected
from policy_server.proving.formats import HEAD_BYTES, refuse_foreign_file

LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 84977953\n"
)
LEGACY_TORCH = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00(X\x10\x00\x00\x00"
    b"protocol_versionq\x01M\xe9\x03u.\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01"
)
SAFETENSORS = b'{"actor.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
FROZEN = b"\n\x2d\n\x03obs\x12\x0bPlaceholder*\x0b\n\x05dtype\x12\x020\x01"
CORE_ML = b"\x08\x05\x12\xb4\x01\nQ\n\x03obs\x12\x0eobservation"
CHECKPOINT_INDEX = b"\x00\x00\x06\x08\x01\x1a\x02\x08\x01\x00\x1c\x10_CHECKPOINTABLE_OBJECT_GRAPH"
SHORTCUT = b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F"
BARRACUDA = struct.pack("<qii", 20, 1, 11) + b"observation" + struct.pack("<i", 8)
TAR = b"policy/".ljust(257, b"\0") + b"ustar\x0000"
LNK_TARGET = "the file it points to"


def refusal(content: bytes) -> str:
    with pytest.raises(UploadRejected) as caught:
        refuse_foreign_file(content[:HEAD_BYTES])
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("empty", "tf.saved_model.save", "torch.onnx.export")),
        (bytes(5000), ("nothing but zeros", "did not finish")),
        (LFS_POINTER, ("Git LFS", "git lfs pull", "Download raw file")),
        (b"\n\n<!DOCTYPE html>\n<html lang='en'>", ("web page", "Download raw file", "/resolve/")),
        (b"\xef\xbb\xbf<HTML><head>", ("web page",)),
        (b"404: Not Found", ("text", "'404: Not Found'")),
        (b'{"message": "Not Found", "status": "404"}', ("JSON", "says 'Not Found'")),
        ("\ufeffpolicy".encode("utf-16"), ("UTF-16", "policy")),
        (b"\x20\0\0\0ORTM\0\0\0\0", (".ort", "Upload the .onnx file")),
        (b"\x18\0\0\0ET12\0\0\0\0", ("ExecuTorch", "external_data=False")),
        (b"\x08\x01\x12\x83\x01\n....", ("saved_model.pb alone", "variables", "zip")),
        (FROZEN, ("TensorFlow graph alone", "SavedModel")),
        (CHECKPOINT_INDEX, ("TensorFlow checkpoint", "tf.saved_model.save")),
        (b'model_checkpoint_path: "ckpt-10"\n', ("TensorFlow checkpoint",)),
        (b"\x81\xa6params\x82\xa7Dense_0", ("Flax", "jax2tf.convert")),
        (struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS, ("safetensors", "torch.onnx.export")),
        (BARRACUDA, ("Barracuda", ".onnx file that ML-Agents writes")),
        (b"UnityFS\0\0\0\0\x08", ("Unity", "ML-Agents")),
        (CORE_ML, ("Core ML", "external_data=False")),
        (b"<?xml version='1.0'?>\n<net name='policy' version='11'>", ("OpenVINO", "ONNX")),
        (b"ptrt\x00\x00\x00\x00", ("TensorRT", "ONNX")),
        (b'{"format": "layers-model", "modelTopology": {}}', ("TensorFlow.js", "SavedModel")),
        (b'{"class_name": "Sequential", "config": {}}', ("Keras", "without weights")),
        (b'{"type": "Algorithm", "checkpoint_version": "1.1"}', ("RLlib", "export_model")),
        (b"\x93NUMPY\x01\x00v\x00", ("NumPy array", "no policy")),
        (b"\x1f\x8b\x08\x00....", ("gzip", "Unpack it first")),
        (b"BZh91AY", ("bzip2",)),
        (b"\xfd7zXZ\x00", ("with xz",)),
        (b"7z\xbc\xaf\x27\x1c", ("7-Zip", "Unpack it first")),
        (b"Rar!\x1a\x07", ("RAR",)),
        (TAR, ("with tar", "Unpack it first")),
        (SHORTCUT, ("shortcut of Windows", LNK_TARGET)),
        (b"[InternetShortcut]\r\nURL=https://", ("shortcut to a web page", LNK_TARGET)),
        (b"MATLAB 5.0 MAT-file, Platform", ("MATLAB", "exportONNXNetwork")),
        (b"MZ\x90\x00", ("program of Windows",)),
        (b"import torch\n", ("not a sound ONNX file", "import torch")),
        (pickle.dumps({"x": 1}), ("a pickle", "runs code of its author")),
        (pickle.dumps({"x": 1}, protocol=0), ("a pickle",)),
        (LEGACY_TORCH, ("PyTorch", "weights without a network", "torch.onnx.export")),
        (b"\x80\x04\x95cstable_baselines3.common.vec_env", ("VecNormalize", "preprocessor")),
        (b"\x80\x04\x95cstable_baselines.ppo2", ("Stable-Baselines 2", "model.save('model.zip')")),
        (b"\x80\x04\x95cray.rllib.algorithms.ppo", ("RLlib", "export_model")),
    ],
    ids=lambda value: ascii(value[:20]) if isinstance(value, bytes) else "",
)
def test_a_file_is_told_by_its_beginning(content: bytes, words: tuple[str, ...]) -> None:
    message = refusal(content)
    for word in words:
        assert word in message


def onnx_beginnings() -> st.SearchStrategy[bytes]:
    text = st.text("abcxyz. -/", max_size=30)
    return st.builds(
        lambda version, producer, name: helper.make_model(
            helper.make_graph([], name, [], []),
            producer_name=producer,
            ir_version=version,
        ).SerializeToString(),
        st.integers(3, 13),
        text,
        text,
    )


@given(content=onnx_beginnings())
def test_onnx_is_let_through(content: bytes) -> None:
    refuse_foreign_file(content[:HEAD_BYTES])


@given(content=st.binary(max_size=400))
def test_whatever_comes_is_let_through_or_refused(content: bytes) -> None:
    with contextlib.suppress(UploadRejected):
        refuse_foreign_file(content)


def test_text_is_told_where_its_beginning_ends_within_a_letter() -> None:
    assert "text" in refusal(b"x" * (HEAD_BYTES - 1) + "ä".encode() + b"x" * 10)


@pytest.mark.parametrize("place", ["message", "detail"])
def test_json_of_any_shape_is_told(place: str) -> None:
    assert "JSON" in refusal(json.dumps({place: {"deep": [1]}}).encode())
