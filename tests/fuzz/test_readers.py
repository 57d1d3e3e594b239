"""What is fuzzed by `make fuzz`, on a small scale: and what it has found is not found again."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.errors import ObservationError
from policy_server.web.tensor_wire import read_message
from tests.fuzz import files, texts
from tests.fuzz.readers import TARGETS
from tests.support.checkout import ROOT

REFUSED = {
    ("tensors", "none"),
    ("archive", "outside"),
    *(("memory", seed) for seed in ("forged", "foreign", "expired")),
}
"""Seeds that are refused, and why not: the others are sound."""


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, each in TARGETS.items() for seed in each.seeds]
)
def test_mutations_begin_with_files_that_are_read(name: str, seed: str) -> None:
    expected = (name, seed) not in REFUSED and not (name == "foreign" and seed != "zip")
    if name != "settings":  # those of other zips do not fit the weights of the first
        assert TARGETS[name].read(TARGETS[name].seeds[seed]) is expected


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(data=st.data())
def test_no_mutation_is_neither_read_nor_refused(name: str, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(sorted(TARGETS[name].seeds.values()))))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = start + data.draw(st.integers(0, 8))
        content[start:end] = data.draw(st.binary(max_size=8))
    TARGETS[name].read(bytes(content))


def test_weights_of_a_zip_of_a_later_version_are_refused() -> None:
    content = bytearray(files.packed({"archive/data.pkl": b"\x80\x02N."}))
    place = content.index(b"PK\x01\x02") + 6
    content[place : place + 2] = (101).to_bytes(2, "little")
    with pytest.raises(NotImplementedError):
        zipfile.ZipFile(io.BytesIO(content)).read("archive/data.pkl")
    assert not files.weights(bytes(content))


def test_an_onnx_file_with_names_that_are_no_text_is_refused() -> None:
    for seed, name in (("beside", b"case"), ("linear", b"kernel"), ("branching", b"logits")):
        content = TARGETS["onnx"].seeds[seed].replace(name, b"\xe5" + name[1:])
        assert content != TARGETS["onnx"].seeds[seed]
        assert not files.onnx_file(content)


@pytest.mark.parametrize("data", [{"data": []}, {"parameters": {"binary_data_size": 0}}])
def test_a_tensor_of_no_values_whose_shape_no_memory_holds_is_refused(data: object) -> None:
    """Fuzzing finds it: NumPy cannot even count its bytes."""
    shape = [0, *[2**31 - 1] * 4]
    for datatype in ("FP64", "BYTES"):
        given = {"name": "x", "datatype": datatype, "shape": shape, **data}  # type: ignore[dict-item]
        with pytest.raises(ObservationError, match="cannot be of the shape"):
            read_message(json.dumps({"inputs": [given]}).encode(), None)


def test_libfuzzer_runs_a_reader_and_counts_its_cases() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", "output_mapper", "200", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    counts = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    assert counts["taken"] + counts["refused"] == 200
    assert counts["taken"] >= len(texts.TARGETS["output_mapper"].seeds)
