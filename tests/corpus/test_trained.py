"""What Stable-Baselines3 exported decides as it did, and its golden cases agree."""

import numpy as np
import pytest

from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.proving.conftest import candidate_of as candidate_of
from tests.support.contracts import contract_of
from tests.support.corpus import CORPUS
from tests.support.policies import predict_deterministic

MAPPER = "[{0: a, 1: b}, {0: a, 1: b, 2: c}, {0: a, 1: b, 2: c, 3: d}]"
trained = pytest.mark.parametrize(
    ("name", "output", "discrete", "sizes"),
    [
        ("cartpole_ppo", "logits", True, (2,)),
        ("digits_ppo", "logits", True, (2, 3, 4)),
        ("pendulum_ppo", "mean_log_std", False, (1,)),
    ],
)


def candidate(
    make: CandidateOf, name: str, discrete: bool, sizes: tuple[int, ...], **parts: object
) -> Candidate:
    with np.load(CORPUS / name / "golden.npz") as golden:
        width = golden["observations"].shape[1]
    contract = contract_of(width, discrete=discrete, tuple_=len(sizes) > 1)
    mapper = {"output_mapper": MAPPER} if len(sizes) > 1 else {}
    return make(contract, model=CORPUS / name / "policy.onnx", **mapper, **parts)


@trained
def test_it_decides_as_its_framework_does(
    candidate_of: CandidateOf, name: str, output: str, discrete: bool, sizes: tuple[int, ...]
) -> None:
    golden = np.load(CORPUS / name / "golden.npz")
    built = candidate(candidate_of, name, discrete, sizes)
    report = built.assemble()
    assert report.ready, report
    assert built.network.sizes == sizes
    engine = built.network.load_engine(built.folder / Part.MODEL)
    np.testing.assert_allclose(engine.run(golden["observations"]), golden[output], atol=1e-5)
    observations = [{"x": row.tolist()} for row in golden["observations"]]
    made = SchemaPreprocessor(built.contract.schema)
    policy = Policy(built.contract, built.network, engine, made, OutputMapper())
    decided = predict_deterministic(policy, observations)
    actions = np.array([answer.get("actions", [answer.get("action")]) for answer in decided])
    expected = golden["deterministic"].reshape(len(actions), -1)
    np.testing.assert_allclose(actions, expected, atol=0 if discrete else 1e-5)


@trained
def test_its_golden_cases_agree(
    candidate_of: CandidateOf, name: str, output: str, discrete: bool, sizes: tuple[int, ...]
) -> None:
    golden = CORPUS / name / "golden.npz"
    report = candidate(candidate_of, name, discrete, sizes, golden=golden).assemble()
    told = detail(report, "golden cases")
    assert "64 golden cases of features, without the preprocessor, agree" in told
    assert "distribution inputs to " in told
    assert "most probable actions to " in told
