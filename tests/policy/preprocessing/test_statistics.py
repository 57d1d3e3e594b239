"""Statistics in a .npz beside the file become numbers in it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.contract.reading import read_schema
from policy_server.errors import UploadRejected
from policy_server.policy.preprocessing.reading import Reader
from policy_server.policy.preprocessing.statistics import MAX_BYTES, with_statistics
from policy_server.proving.description import read_description

SCHEMA = read_schema('observations: {x: {type: "List[float]", min_items: 3, max_items: 3}}')
MEAN = np.array([0.1, 1 / 3, -1e-300])
VARIANCE = np.array([1e-12, 2.0, 1e22])
TEXTS = {
    "between braces": "features:\n  - {field: x, normalise: {file: s.npz, epsilon: 1e-8}}\n",
    "in lines": "features:\n  - field: x\n    normalise:\n      epsilon: 1e-8\n"
    "      file: s.npz  # mine\n",
    "of all": "features: [{field: x}]\nnormalise:\n  file: 's.npz'\n  epsilon: 1e-8\n",
}  # fmt: skip


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "preprocessing.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("text", TEXTS)
def test_numbers_are_carried_to_the_last_bit(text: str, line_end: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=MEAN, var=VARIANCE, count=4)
    content = with_statistics(written(tmp_path, TEXTS[text].replace("\n", line_end)))
    declaration = Reader(SCHEMA).read(content.decode())
    (operation,) = (*declaration.entries[0].operations, *declaration.whole)
    mean, divisor, *_ = operation.operands
    np.testing.assert_array_equal(mean, MEAN)
    np.testing.assert_array_equal(divisor, np.sqrt(VARIANCE + 1e-8))


def test_one_number_without_a_dimension_is_one_for_all(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=np.float64(2), std=np.float32(0.5))
    content = with_statistics(written(tmp_path, "normalise: {file: s.npz}"))
    assert content == b"normalise: {mean: 2.0, std: 0.5}"


@pytest.mark.parametrize(
    "line",
    [
        "normalise: s.npz\n",
        "normalise: 's.npz' # mine\n",
        "normalise: {file: s.npz}\n",
        "normalise:\n  file: s.npz\n  clip: 7\n",
    ],
)
def test_a_model_is_normalised_by_a_file_beside_its_description(line: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=MEAN, var=VARIANCE)
    path = tmp_path / "model.yaml"
    path.write_text(f"reads: logits\n{line}", encoding="utf-8")
    path.write_bytes(with_statistics(path))
    statistics = read_description(path).normalise
    assert statistics is not None
    np.testing.assert_array_equal(statistics.mean, MEAN)
    np.testing.assert_array_equal(statistics.scale, np.sqrt(VARIANCE))
    assert statistics.clip == (7.0 if "clip" in line else None)


def test_what_a_model_names_and_is_not_there_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    path.write_text("reads: logits\nnormalise: ../s.npz\n", encoding="utf-8")
    with pytest.raises(UploadRejected) as caught:
        with_statistics(path)
    (fault,) = caught.value.faults
    assert fault.place == "model.yaml:2"
    with pytest.raises(UploadRejected) as caught:
        read_description(path)
    assert "an upload is one file" in str(caught.value)


def test_pickled_statistics_are_not_loaded(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    np.savez(tmp_path / "s.npz", mean=np.array([Attack(ran)], object), var=VARIANCE)
    path = tmp_path / "model.yaml"
    path.write_text("normalise: s.npz\n", encoding="utf-8")
    with pytest.raises(UploadRejected, match=r"no sound \.npz"):
        with_statistics(path)
    assert not ran.exists()


class Attack:
    """Makes a file when its pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def test_several_files_go_to_their_places(tmp_path: Path) -> None:
    for name, mean in (("a.npz", 1.0), ("b.npz", 2.0)):
        np.savez(tmp_path / name, mean=np.full(3, mean), std=np.ones(3))
    text = "features:\n  - {field: x, normalise: {file: a.npz}}\nnormalise: {file: b.npz}\n"
    content = with_statistics(written(tmp_path, text)).decode()
    assert content.index("1.0, 1.0, 1.0") < content.index("2.0, 2.0, 2.0")


@pytest.mark.parametrize(
    "text",
    [
        "features: [{field: x, offset: 1}]\n",
        "features: [{field: file}]\n",
        "features: [file\n",
        "features: [{field: file}]".encode("utf-16"),
    ],
)
def test_all_else_stays_as_it_is(text: str | bytes, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    assert with_statistics(path) == path.read_bytes()


def refusal(folder: Path, name: str = "s.npz") -> str:
    path = written(folder, f"features:\n  - field: x\n    normalise:\n      file: {name}\n")
    with pytest.raises(UploadRejected) as caught:
        with_statistics(path)
    (fault,) = caught.value.faults
    assert fault.place == "preprocessing.yaml:4"
    return fault.detail


@pytest.mark.parametrize("name", ["s.npz", "../s.npz", "/etc/passwd", "."])
def test_only_files_beside_it_are_read(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=MEAN, var=VARIANCE)
    (tmp_path / "inner").mkdir()
    assert "is no file beside preprocessing.yaml" in refusal(tmp_path / "inner", name)


def test_links_are_not_followed(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", mean=MEAN, var=VARIANCE)
    (tmp_path / "s.npz").symlink_to(tmp_path / "t.npz")
    assert "no link" in refusal(tmp_path)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=np.array([{}, {}, {}], dtype=object), var=VARIANCE)
    assert "is no sound .npz: Object arrays cannot be loaded" in refusal(tmp_path)
    (tmp_path / "s.npz").write_bytes(b"\x80\x04K\x01.")
    assert "is no sound .npz" in refusal(tmp_path)


@pytest.mark.parametrize("names", [("mu", "var"), ("mean",), ("std",), ("mean", "count")])
def test_arrays_of_other_names_are_listed(names: tuple[str, ...], tmp_path: Path) -> None:
    arrays: dict[str, Any] = dict.fromkeys(names, MEAN)
    np.savez(tmp_path / "s.npz", **arrays)
    detail = refusal(tmp_path)
    assert all(repr(name) in detail for name in names)
    assert "called `mean` and `variance` (or `var`, or `std`) are wanted" in detail


def test_texts_are_no_statistics(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mean=np.array(["a"]), var=VARIANCE)
    assert "arrays of numbers" in refusal(tmp_path)


def test_files_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "s.npz", mean=np.zeros(MAX_BYTES // 8), var=np.zeros(1))
    assert "it has more than 4,000,000 bytes" in refusal(tmp_path)
