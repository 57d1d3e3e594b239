"""What is declared is a part like code: it joins a model, is swapped, kept, and read again."""

import io
from pathlib import Path

import numpy as np
import pytest

from policy_server.contract.schema import Observation
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.serving.versions import Versions
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import VersionParts, read_network
from tests.support.contracts import contract_of, kept_contracts
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import LoopedLive

CONTRACT = contract_of(3)
CODE = b"def preprocess(observation):\n    return [2 * number for number in observation['x']]\n"
DECLARED = b"features:\n  - field: x\n    scale: 2\n"
OBSERVATION: Observation = {"x": [0.1, 0.2, -0.3]}


class Desk:
    """Uploads a model, and preprocessors for it."""

    def __init__(self, base: Path) -> None:
        self.store = open_store(base)
        contracts = kept_contracts(CONTRACT, base)
        self.publisher = Publisher(self.store, contracts, BuildLimits())
        self.versions = Versions(self.store, contracts, BuildLimits())
        self.upload(Part.MODEL, linear_onnx(3, 4))

    def upload(self, part: Part, content: bytes) -> str:
        report = self.publisher.upload({part: io.BytesIO(content)})
        assert report.state == "active"
        return report.version

    def files(self, version: str) -> list[str]:
        return [path.name for path in (self.store.folder(version) / "preprocessor").iterdir()]

    def parts(self, version: str) -> VersionParts:
        folder = self.store.folder(version)
        return VersionParts.read(folder, read_network(folder, CONTRACT), CONTRACT)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "base")


def test_a_version_keeps_which_of_the_two_it_has(desk: Desk) -> None:
    code, declared = desk.upload(Part.PREPROCESSOR, CODE), desk.upload(Part.PREPROCESSOR, DECLARED)
    assert (desk.files(code), desk.files(declared)) == (["preprocessor.py"], ["preprocessing.yaml"])
    assert isinstance(desk.parts(code).preprocessor(CONTRACT), UploadedPreprocessor)
    assert isinstance(desk.parts(declared).preprocessor(CONTRACT), DeclaredPreprocessor)
    record = CONTRACT.decoder.convert(OBSERVATION)
    rows = [
        desk.parts(each).preprocessor(CONTRACT).features([record]).features
        for each in (code, declared)
    ]
    np.testing.assert_array_equal(rows[0], rows[1])


def test_it_stays_with_the_parts_that_come_later(desk: Desk) -> None:
    declared = desk.upload(Part.PREPROCESSOR, DECLARED)
    mapped = desk.upload(Part.OUTPUT_MAPPER, b"{0: a, 1: b, 2: c, 3: d}")
    retrained = desk.upload(Part.MODEL, linear_onnx(3, 4, seed=1))
    for version in (mapped, retrained):
        assert desk.files(version) == ["preprocessing.yaml"]
        assert "features" in [check["name"] for check in desk.store.manifest(version).checks]
    assert desk.upload(Part.PREPROCESSOR, CODE) != retrained
    assert desk.files(declared) == ["preprocessing.yaml"]


def test_the_same_file_makes_no_second_version(desk: Desk) -> None:
    first = desk.upload(Part.PREPROCESSOR, DECLARED)
    assert desk.upload(Part.PREPROCESSOR, CODE) != first
    assert desk.upload(Part.PREPROCESSOR, DECLARED) == first == desk.store.active()


def test_it_decides_in_the_worker_itself_also_where_code_is_kept_apart(desk: Desk) -> None:
    desk.upload(Part.PREPROCESSOR, DECLARED)
    live = LoopedLive(desk.store, CONTRACT, ProcessLimits())
    try:
        live.start()
        decider = live.current().decider
        assert decider.runner.process is None
        answer = live.decide(OBSERVATION, "describe")
    finally:
        live.close()
    logits = 2 * np.array(OBSERVATION["x"]) @ linear_kernel(3, 4).astype(np.float64)
    weights = np.exp(logits)
    (head,) = answer["heads"]
    np.testing.assert_allclose(head["probabilities"], weights / weights.sum(), atol=1e-6)


def test_golden_cases_of_a_version_are_replayed_with_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "base")
    golden = b'{"observation": {"x": [0.1, 0.2, -0.3]}, "features": [0.2, 0.4, -0.6]}\n'
    parts = {Part.MODEL: linear_onnx(3, 4), Part.PREPROCESSOR: DECLARED, Part.GOLDEN: golden}
    version = desk.publisher.publish(
        Bundle({part: io.BytesIO(content) for part, content in parts.items()})
    ).version
    report = desk.versions.verify(version)
    assert "1 golden cases agree" in str(report)
