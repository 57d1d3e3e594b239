"""Preprocessing that is declared is proven as code is, and shown by name."""

import json

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx

CONTRACT = Contract(
    read_schema("""\
observations:
  spare: {type: float, minimum: 0, maximum: 1}
  gear: {type: int, minimum: 1, maximum: 3}
  speed: {type: float, minimum: 0, maximum: 200}
  late: {type: float, minimum: 0, maximum: 1, required: false}
""")
)
DECLARED = """\
features:
  - field: speed
    scale: 0.01
    offset: 0.5
    clip: [-1, 1]
  - field: gear
    one_hot: true
  - field: late
"""


def golden(clip: float = 1.0) -> str:
    """What training would have recorded, computed as the declaration says it."""
    lines = []
    for speed in (0.0, 20.0, 49.0, 120.0, 200.0):
        features = [float(np.clip(speed * 0.01 + 0.5, -clip, clip)), 0.0, 1.0, 0.0, 0.0]
        observation = {"speed": speed, "gear": 2, "spare": 1.0}
        lines.append(json.dumps({"observation": observation, "features": features}))
    return "\n".join(lines)


def whole(candidate_of: CandidateOf, **others: str) -> Candidate:
    return candidate_of(
        CONTRACT, model=linear_onnx(5, 4), **{"preprocessor": DECLARED, "golden": golden()} | others
    )


def test_what_is_declared_is_proven_and_shown_by_name(candidate_of: CandidateOf) -> None:
    candidate = whole(candidate_of)
    report = candidate.assemble()
    assert report.ready, report
    assert detail(report, "features").splitlines() == [
        "5 in all",
        "0: speed * 0.01 + 0.5, clipped to [-1, 1]",
        "1: gear = 1",
        "2: gear = 2",
        "3: gear = 3",
        "4: late",
        "no feature is made of `spare`",
        "where it is not sent, 0 stands for `late`",
    ]
    assert detail(report, "preprocessor").startswith("the preprocessor makes 5 finite features")
    assert detail(report, "width") == "the preprocessor makes 5 features, the network takes 5"
    assert "5 golden cases agree: features to" in detail(report, "golden cases")
    assert candidate.network.timing.preprocessor_seconds > 0
    assert not any("process" in step for step in candidate.steps), "it needs none of its own"


def test_golden_cases_find_a_bound_that_is_wrong(candidate_of: CandidateOf) -> None:
    message = whole(candidate_of, golden=golden(clip=2.0)).assemble().rejected or ""
    assert message.startswith("2 of 5 golden cases disagree")
    assert "The preprocessor makes other features than training did." in message


def test_the_decisions_are_those_of_the_declared_features(candidate_of: CandidateOf) -> None:
    features = np.array([1.0, 0.0, 1.0, 0.0, 0.0])
    logits = (features @ linear_kernel(5, 4).astype(np.float64)).tolist()
    observation = {"speed": 120.0, "gear": 2, "spare": 0.0}
    case = json.dumps({"observation": observation, "distribution_inputs": logits})
    assert whole(candidate_of, golden=case).assemble().ready


def test_widths_that_differ_are_told_with_both_numbers(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(CONTRACT, model=linear_onnx(7, 4), preprocessor=DECLARED)
    told = "The preprocessor makes 5 features, the network takes 7: upload a preprocessor that fits"
    assert (candidate.assemble().rejected or "").startswith(told)
    assert candidate.assemble(Part.MODEL).missing == [Part.PREPROCESSOR]


def test_faults_come_with_their_lines(candidate_of: CandidateOf) -> None:
    report = whole(candidate_of, preprocessor=DECLARED.replace("late", "lat")).assemble()
    assert report.rejected == "The preprocessing that is declared cannot be served."
    ((place, told),) = [(fault.place, fault.detail) for fault in report.faults]
    assert place == "preprocessing.yaml:8"
    assert told == "`lat` is no field of the schema: do you mean `late`?"


def test_a_number_too_large_for_the_network_is_told(candidate_of: CandidateOf) -> None:
    report = whole(candidate_of, preprocessor=f"{DECLARED}    scale: 1e300\n").assemble()
    assert "A valid observation makes no features" in (report.rejected or "")


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + DECLARED.encode(), DECLARED.replace("\n", "\r\n")]
)
def test_files_of_windows_are_read(candidate_of: CandidateOf, content: str) -> None:
    assert whole(candidate_of, preprocessor=content).assemble().ready


def test_arrays_of_no_fixed_size_are_no_features(candidate_of: CandidateOf) -> None:
    text = "features:\n  - field: x\n"
    candidate = candidate_of(contract_of(varying=True), model=linear_onnx(3, 4), preprocessor=text)
    assert "has no fixed size" in str(candidate.assemble().faults)


def test_an_empty_file_is_told_what_is_wanted(candidate_of: CandidateOf) -> None:
    message = whole(candidate_of, preprocessor="").assemble().rejected or ""
    assert "`features:`" in message
    assert "`preprocess(observation)`" in message
