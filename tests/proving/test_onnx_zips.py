"""A zip of an ONNX file and its weights is one model; what points elsewhere is refused."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from policy_server.policy.engines.onnx import OnnxEngine
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.external_weights import EXPECTED, ROWS, write


def zipped(folder: Path, target: Path, root: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{root}{path.name}")
    return target


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("root", ["", "exported/policy/"])
def test_a_zip_of_a_model_and_its_weights_is_served(
    candidate_of: CandidateOf, tmp_path: Path, apart: bool, root: str
) -> None:
    (tmp_path / "made").mkdir()
    write(tmp_path / "made", apart=apart)
    model = zipped(tmp_path / "made", tmp_path / "policy.zip", root)
    candidate = candidate_of(contract_of(4), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert detail(report, "engine").startswith("policy.onnx of a zip")
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    np.testing.assert_allclose(engine.run(ROWS), EXPECTED, atol=1e-5)


def test_weights_that_are_not_in_the_zip_are_named(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    write(tmp_path / "made")
    (tmp_path / "made" / "policy.onnx.data").unlink()
    model = zipped(tmp_path / "made", tmp_path / "policy.zip")
    report = candidate_of(contract_of(4), model=model).assemble()
    assert report.rejected is not None
    assert "policy.onnx.data" in report.rejected


def test_several_models_in_a_zip_are_not_chosen_from(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    for name in ("one.onnx", "two.onnx"):
        write(tmp_path / "made", name)
    model = zipped(tmp_path / "made", tmp_path / "policy.zip")
    report = candidate_of(contract_of(4), model=model).assemble()
    assert report.rejected is not None
    assert "Upload the .onnx file itself" in report.rejected
