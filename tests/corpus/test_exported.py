"""What torch.export kept of policies of Stable-Baselines3 decides as they did."""

import numpy as np
import pytest

from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, detail
from tests.proving.conftest import candidate_of as candidate_of
from tests.support.contracts import contract_of
from tests.support.corpus import CORPUS

MAPPER = "[{0: a, 1: b}, {0: a, 1: b, 2: c}, {0: a, 1: b, 2: c, 3: d}]"


@pytest.mark.parametrize(
    ("name", "reads"),
    [("cartpole_ppo", "logits"), ("digits_ppo", "logits"), ("pendulum_ppo", "mean_log_std")],
)
def test_it_decides_as_its_framework_does(candidate_of: CandidateOf, name: str, reads: str) -> None:
    golden = np.load(CORPUS / name / "golden.npz")
    several = name == "digits_ppo"
    contract = contract_of(
        golden["observations"].shape[1], discrete=reads == "logits", tuple_=several
    )
    model, mapper = CORPUS / name / "policy.pt2", {"output_mapper": MAPPER} if several else {}
    asked = candidate_of(contract, model=model, **mapper).assemble()
    assert f"`reads: {reads}`" in detail(asked, "reading")
    built = candidate_of(contract, model=model, description=f"reads: {reads}", **mapper)
    report = built.assemble()
    assert report.ready, report
    engine = built.network.load_engine(built.folder / Part.MODEL)
    np.testing.assert_allclose(engine.run(golden["observations"]), golden[reads], atol=1e-5)
