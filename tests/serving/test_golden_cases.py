"""Golden cases travel with the version whose model they were recorded of."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from policy_server.errors import UploadRejected, VersionConflict, VersionNotFound
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.serving.versions import Versions
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.contracts import contract_of, kept_contracts
from tests.support.networks import linear_kernel, linear_onnx

CONTRACT = contract_of(3)
DOUBLING = b"def preprocess(observation):\n    return [2 * number for number in observation['x']]\n"
ROWS = np.random.default_rng(1).uniform(-1, 1, (12, 3))
GOLDEN = "".join(
    json.dumps({"observation": {"x": row.tolist()}, "distribution_inputs": inputs.tolist()}) + "\n"
    for row, inputs in zip(ROWS, 2 * ROWS @ linear_kernel(3, 4), strict=True)
).encode()


class Desk:
    """Publishes a policy with golden cases, and uploads parts after it."""

    def __init__(self, base: Path) -> None:
        self.store = open_store(base)
        contracts = kept_contracts(CONTRACT, base)
        self.publisher = Publisher(self.store, contracts, BuildLimits())
        self.versions = Versions(self.store, contracts, BuildLimits())

    def publish(self, **parts: bytes) -> str:
        whole = {"model": linear_onnx(3, 4), "preprocessor": DOUBLING, "golden": GOLDEN, **parts}
        files = {Part(name): io.BytesIO(content) for name, content in whole.items()}
        return self.publisher.publish(Bundle(files)).version

    def upload(self, part: Part, content: bytes) -> str:
        return self.publisher.upload({part: io.BytesIO(content)}).version

    def parts(self, name: str) -> set[str]:
        return set(self.store.manifest(name).parts)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "base")


def test_a_part_that_joins_the_same_model_must_keep_them(desk: Desk) -> None:
    desk.publish()
    mapped = desk.upload(Part.OUTPUT_MAPPER, b"{0: a, 1: b, 2: c, 3: d}")
    assert desk.parts(mapped) == {"model", "preprocessor", "output_mapper", "golden"}
    with pytest.raises(UploadRejected, match="12 of 12 golden cases disagree") as caught:
        desk.upload(Part.PREPROCESSOR, DOUBLING.replace(b"2 *", b"3 *"))
    assert any(fault.place.startswith("/distribution_inputs/") for fault in caught.value.faults)
    assert desk.store.active() == mapped
    same = desk.upload(Part.PREPROCESSOR, DOUBLING.replace(b"2 * number", b"number + number"))
    assert "golden" in desk.parts(same)


def test_another_model_leaves_them_behind(desk: Desk) -> None:
    before = desk.publish()
    after = desk.upload(Part.MODEL, linear_onnx(3, 4, seed=8))
    assert desk.parts(after) == {"model", "preprocessor"}
    assert desk.store.active() == after
    assert "golden" in desk.parts(before)


def test_a_whole_policy_that_disagrees_is_not_published(desk: Desk) -> None:
    before = desk.publish()
    with pytest.raises(UploadRejected, match="12 of 12 golden cases disagree"):
        desk.publish(model=linear_onnx(3, 4, seed=8))
    assert (desk.store.active(), desk.store.names()) == (before, [before])


def test_a_version_is_verified_on_demand(desk: Desk) -> None:
    first = desk.publish()
    desk.upload(Part.MODEL, linear_onnx(3, 4, seed=8))
    files = {
        path: path.read_bytes() for path in desk.store.folder(first).rglob("*") if path.is_file()
    }
    found = desk.versions.verify(first)  # which is not active any more
    assert (found.version, found.passed, found.errors) == (first, True, [])
    (check,) = found.checks
    assert check.detail.startswith("12 golden cases agree: distribution inputs to ")
    after = {
        path: path.read_bytes() for path in desk.store.folder(first).rglob("*") if path.is_file()
    }
    assert after == files


def test_verifying_finds_what_came_apart(desk: Desk) -> None:
    """A disk, or somebody on it, changed the preprocessor after it was proven."""
    name = desk.publish()
    code = desk.store.folder(name) / "preprocessor" / "preprocessor.py"
    code.write_bytes(DOUBLING.replace(b"2 *", b"5 *"))
    found = desk.versions.verify(name)
    assert (found.passed, found.checks[0].passed) == (False, False)
    assert "12 of 12 golden cases disagree" in found.checks[0].detail
    assert found.errors[0].pointer == "/observation/x"
    code.write_text("import os\nos._exit(3)\n")
    assert "exit code 3" in desk.versions.verify(name).checks[0].detail
    (desk.store.folder(name) / "model" / "network.onnx").unlink()
    assert "cannot be asked" in desk.versions.verify(name).checks[0].detail


def test_what_cannot_be_verified_is_told(desk: Desk) -> None:
    desk.publish()
    without = desk.upload(Part.MODEL, linear_onnx(3, 4, seed=8))
    with pytest.raises(VersionConflict, match="has no golden cases"):
        desk.versions.verify(without)
    with pytest.raises(VersionNotFound):
        desk.versions.verify("9-none")
