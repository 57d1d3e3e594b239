"""Weights beside an ONNX file are read from its folder alone; those elsewhere never."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from policy_server.errors import UploadRejected
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.proving.onnx_file import embed_weights, may_lack_weights, read_onnx
from tests.support.external_weights import EXPECTED, ROWS, network, write


def changed(file: Path, **entries: str) -> Path:
    """The model, whose first weights are said to be somewhere else; an empty text says nothing."""
    model = onnx.load(file, load_external_data=False)
    tensor = model.graph.initializer[0]
    kept = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in kept.items():
        if value:
            tensor.external_data.add(key=key, value=value)
    file.write_bytes(model.SerializeToString())
    return file


def refusal(file: Path, **limits: int) -> str:
    with pytest.raises(UploadRejected) as caught:
        embed_weights(file, **limits)
    return str(caught.value)


@pytest.mark.parametrize("apart", [False, True])
def test_weights_beside_it_become_part_of_it(tmp_path: Path, apart: bool) -> None:
    file = write(tmp_path, apart=apart)
    assert may_lack_weights(file.read_bytes())
    assert len({path.name for path in tmp_path.iterdir()}) == (4 if apart else 2)
    whole = tmp_path / "whole.onnx"
    whole.write_bytes(embed_weights(file))
    (tmp_path / "alone").mkdir()
    whole.rename(tmp_path / "alone" / "whole.onnx")
    read_onnx(tmp_path / "alone" / "whole.onnx")
    outputs = OnnxEngine(tmp_path / "alone" / "whole.onnx").run(ROWS)
    np.testing.assert_allclose(outputs, EXPECTED, atol=1e-5)


def test_a_length_need_not_be_said_where_the_file_ends(tmp_path: Path) -> None:
    file = write(tmp_path, apart=True)
    assert embed_weights(changed(file, length="", offset="")) == embed_weights(write(tmp_path))


def test_uploaded_alone_it_is_told_what_is_missing_and_what_helps(tmp_path: Path) -> None:
    with pytest.raises(UploadRejected) as caught:
        read_onnx(write(tmp_path))
    for word in ("'policy.onnx.data'", "external_data=False", "onnx.save(", "check FOLDER"):
        assert word in str(caught.value)


def test_the_advice_of_one_file_gives_one_file(tmp_path: Path) -> None:
    with pytest.raises(UploadRejected) as caught:
        read_onnx(write(tmp_path))
    code = str(caught.value).partition("`onnx.save(")[2].partition("`")[0]
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec(f"import onnx\nonnx.save({code}")
    finally:
        os.chdir(before)
    read_onnx(tmp_path / "one.onnx")


@pytest.mark.parametrize(
    "location",
    [
        *("../secret", "/etc/hostname", "sub/secret", "..", ".", "C:secret", "..\\secret"),
        *("./secret", "sub/../secret", "\\\\host\\secret", "a\0b"),
    ],
)
def test_only_a_plain_name_is_followed(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    inner = tmp_path / "policy"
    (inner / "sub").mkdir(parents=True)
    (inner / "sub" / "secret").write_bytes(bytes(10_000))
    assert "only a file beside the model" in refusal(changed(write(inner), location=location))


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(10_000))
    inner = tmp_path / "policy"
    inner.mkdir()
    file = changed(write(inner), location="link")
    (inner / "link").symlink_to(tmp_path / "secret")
    assert "is a link" in refusal(file)
    (inner / "link").unlink()
    (inner / "link").mkdir()
    assert "is a link or no file" in refusal(file)
    (inner / "link").rmdir()
    os.mkfifo(inner / "link")
    assert "is a link or no file" in refusal(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "policy.onnx.data").unlink()
    message = refusal(file)
    assert "policy.onnx.data" in message
    assert "No such file" in message


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ({"offset": "-1"}, "said to be at -1"),
        ({"length": "-8"}, "said to be"),
        ({"offset": "100000000"}, "cut off"),
        ({"length": "100000000"}, "cut off"),
        ({"length": "64"}, "take 128 bytes"),
        ({"length": "x"}, "no number"),
    ],
)
def test_places_that_are_wrong_are_refused(
    tmp_path: Path, entries: dict[str, str], word: str
) -> None:
    assert word in refusal(changed(write(tmp_path), **entries))


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path)
    beside = tmp_path / "policy.onnx.data"
    beside.write_bytes(beside.read_bytes()[:-1])
    assert "cut off" in refusal(file)


def test_their_bytes_are_limited(tmp_path: Path) -> None:
    """Many weights may name the same bytes; it is what they become that counts."""
    file = write(tmp_path)
    size = len(embed_weights(file))
    assert "more than 300 bytes" in refusal(file, most_bytes=300)
    embed_weights(file, most_bytes=size + 2000)


@pytest.mark.parametrize("kind", [TensorProto.STRING, TensorProto.UNDEFINED, 4_000])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, kind: int) -> None:
    file = write(tmp_path)
    model = onnx.load(file, load_external_data=False)
    model.graph.initializer[0].data_type = kind
    file.write_bytes(model.SerializeToString())
    assert "The weights `first` are" in refusal(file)


def test_a_network_without_is_known_to_be_whole(tmp_path: Path) -> None:
    assert not may_lack_weights(network().SerializeToString())


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_said_to_be(tmp_path: Path, share: float) -> None:
    whole = network().SerializeToString()
    (tmp_path / "cut.onnx").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UploadRejected, match=r"not a sound ONNX file.* its end is missing"):
        read_onnx(tmp_path / "cut.onnx")
