"""Golden cases: each way in which training and serving come apart is told by a sentence."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf
from tests.support.contracts import actions_of
from tests.support.networks import linear_kernel, linear_onnx

SCHEMA = """
observations:
  height: {type: float, minimum: -50, maximum: 150}
  speed: {type: float, minimum: 0, maximum: 9}
  heading: {type: float, minimum: 0, maximum: 360}
"""
CONTRACT = Contract(read_schema(SCHEMA))
CASES, ACTIONS = 40, 4
KERNEL = linear_kernel(3, ACTIONS)
MAPPER = "{0: up, 1: down, 2: left, 3: right}"
NORMALISING = """
def preprocess(observation):
    return [
        (observation["height"] - 50) / 25,
        observation["speed"] / 9,
        observation["heading"] / 360,
    ]
"""
Cases = list[dict[str, Any]]


def observed(count: int = CASES) -> Cases:
    return [dict(each) for each in random_observations(CONTRACT.schema, count, seed=5)]


def trained(*stated: str) -> Cases:
    """What training recorded: its features, its network, and its own way to word them."""
    cases: Cases = []
    for observation in observed():
        height, speed, heading = (observation[name] for name in ("height", "speed", "heading"))
        features = np.array([(height - 50) / 25, speed / 9, heading / 360])
        inputs = features @ KERNEL
        probabilities = special.softmax(inputs)
        entropy = -float(np.sum(probabilities * np.log(probabilities)))
        best = int(np.argmax(inputs))
        everything = {
            "features": features.tolist(),
            "distribution_inputs": inputs.tolist(),
            "probabilities": probabilities.tolist(),
            "distribution": {
                "heads": [{"actions": [0, 1, 2, 3], "probabilities": probabilities.tolist()}],
                "entropy": entropy,
            },
            "action": best,
            "meaning": ["up", "down", "left", "right"][best],
        }
        cases.append({"observation": observation} | {name: everything[name] for name in stated})
    return cases


EVERYTHING = (
    "features",
    "distribution_inputs",
    "probabilities",
    "distribution",
    "action",
    "meaning",
)


def lines(cases: Cases) -> str:
    return "".join(json.dumps(case) + "\n" for case in cases)


@pytest.fixture
def built(candidate_of: CandidateOf) -> Callable[..., BuildReport]:
    """Builds a policy as it was trained, but for what a test says."""

    def build(golden: bytes | str, **parts: bytes | str | None) -> BuildReport:
        contract = parts.pop("contract", CONTRACT)
        whole = {
            "model": linear_onnx(3, ACTIONS),
            "preprocessor": NORMALISING,
            "output_mapper": MAPPER,
            "golden": golden,
            **parts,
        }
        given = {name: part for name, part in whole.items() if part is not None}
        return candidate_of(contract, **given).assemble()

    return build


Built = Callable[..., BuildReport]


def verdict(report: BuildReport) -> str:
    (check,) = [check for check in report.checks if check.name == "golden cases"]
    assert check.passed is (report.rejected is None)
    assert check.detail == report.rejected or report.ready
    return check.detail


def told(report: BuildReport) -> str:
    """All that is said of a refusal."""
    return "\n".join([verdict(report), *map(str, report.faults)])


def test_cases_that_agree_are_told_of_in_the_report(built: Built) -> None:
    report = built(lines(trained(*EVERYTHING)))
    assert report.ready
    assert report.faults == []
    detail = verdict(report)
    assert detail.startswith("40 golden cases agree: features to ")
    for quantity in ("distribution inputs", "probabilities", "entropy", "most probable actions"):
        assert f"{quantity} to " in detail


@pytest.mark.parametrize("stated", EVERYTHING)
def test_each_quantity_may_be_recorded_alone(built: Built, stated: str) -> None:
    assert built(lines(trained(stated))).ready
    wrong = built(lines(trained(stated)), model=linear_onnx(3, ACTIONS, seed=9))
    assert (wrong.rejected is None) == (stated == "features")


class TestMistakes:
    """The mistakes with which a policy trains well and acts badly."""

    def test_wrong_order_of_fields(self, built: Built) -> None:
        swapped = NORMALISING.replace("speed", "x").replace("heading", "speed")
        swapped = swapped.replace("x", "heading").replace("/ 9", "/ 0.").replace("/ 360", "/ 9")
        swapped = swapped.replace("/ 0.", "/ 360")
        report = built(lines(trained(*EVERYTHING)), preprocessor=swapped)
        text = told(report)
        assert " of 40 golden cases disagree with what was recorded" in text
        assert "same numbers in another order (1 is found at 2, 2 is found at 1)" in text
        assert "compare the order of the fields with that of training" in text

    def test_wrong_order_of_fields_in_the_schema(self, built: Built) -> None:
        """Where nothing but the schema makes the features, and nothing but actions is known."""
        cases = [
            {
                "observation": case["observation"],
                "action": int(np.argmax(np.array(list(case["observation"].values())) @ KERNEL)),
            }
            for case in trained()
        ]
        assert built(lines(cases), preprocessor=None).ready
        first, *others = SCHEMA.strip().splitlines()[1:]
        reordered = "\n".join(["observations:", *others, first])
        report = built(lines(cases), preprocessor=None, contract=Contract(read_schema(reordered)))
        text = told(report)
        assert "disagree with what was recorded, by more than 0.001: most probable actions" in text
        assert "Record `features` as well" in text
        assert "/observation/height: it was " in text
        assert ", which is more probable by " in text

    def test_missing_normalisation(self, built: Built) -> None:
        report = built(lines(trained(*EVERYTHING)), preprocessor=None)
        text = told(report)
        assert "They are scaled or shifted" in text
        assert "0 is 25 times what was recorded +50" in text
        assert "2 is 360 times what was recorded" in text
        assert "compare scale and normalisation with those of training" in text

    def test_wrong_scale(self, built: Built) -> None:
        report = built(
            lines(trained("features", "action")),
            preprocessor=NORMALISING.replace("/ 360", "/ 180"),
        )
        assert "scaled or shifted (2 is 2 times what was recorded):" in told(report)

    def test_a_slightly_wrong_mean(self, built: Built) -> None:
        report = built(
            lines(trained("distribution_inputs")),
            preprocessor=NORMALISING.replace("- 50", "- 50.5"),
        )
        assert "40 of 40 golden cases disagree" in told(report)

    def test_wrong_order_of_actions(self, built: Built) -> None:
        for stated in ("distribution_inputs", "probabilities"):
            cases = trained("features", stated)
            for case in cases:
                case[stated] = [case[stated][action] for action in (1, 0, 2, 3)]
            text = told(built(lines(cases)))
            assert "in another order (0 is found at 1, 1 is found at 0)" in text
            assert "compare the order of the actions with that of training" in text

    def test_another_network(self, built: Built) -> None:
        other = linear_onnx(3, ACTIONS, seed=9)
        text = told(built(lines(trained("features", "action")), model=other))
        assert "it is the network that differs" in text
        text = told(built(lines(trained("action")), model=other))
        assert "Record `features` as well" in text

    def test_other_meanings(self, built: Built) -> None:
        report = built(
            lines(trained("action", "meaning")),
            output_mapper="{0: down, 1: up, 2: left, 3: right}",
        )
        text = told(report)
        assert "The output mapper gives actions other meanings." in text
        assert "expected up, found down." in text or "expected down, found up." in text


def test_the_worst_case_is_shown_field_by_field(built: Built) -> None:
    cases = trained("distribution_inputs")
    cases[7]["distribution_inputs"][2] += 50.0
    cases[9]["distribution_inputs"][1] += 0.25
    report = built(lines(cases))
    assert verdict(report).startswith("2 of 40 golden cases disagree")
    assert "The worst is line 8." in verdict(report)
    observation = cases[7]["observation"]
    places = {fault.place: fault.detail for fault in report.faults}
    fields = [f"/observation/{name}" for name in observation]
    assert list(places) == [*fields, "/distribution_inputs/2"]
    assert places["/observation/speed"] == f"it was {json.dumps(observation['speed'])}."
    expected = cases[7]["distribution_inputs"][2]
    assert places["/distribution_inputs/2"].startswith(f"expected {expected:.6g}, found ")
    assert places["/distribution_inputs/2"].endswith(": the difference is 50.")


def test_every_case_that_differs_is_told_with_what_was_recorded_and_found(built: Built) -> None:
    cases = trained("distribution_inputs", "meaning")
    cases[9]["distribution_inputs"][1] += 0.25
    cases[7]["distribution_inputs"][2] += 50.0
    cases[7]["meaning"] = "sideways"
    report = built(lines(cases))
    assert [case.place for case in report.cases] == ["line 8", "line 10"]
    first, second = report.cases
    assert json.loads(first.observation) == cases[7]["observation"]
    assert [each.field for each in first.differences] == ["distribution_inputs[2]", "meanings[0]"]
    number, meaning = first.differences
    assert float(number.recorded) - float(number.found) == pytest.approx(50, abs=1e-2)
    assert (meaning.recorded, meaning.found in MAPPER) == ("sideways", True)
    assert [each.field for each in second.differences] == ["distribution_inputs[1]"]
    assert BuildReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_actions_as_probable_as_each_other_agree(built: Built) -> None:
    twin = KERNEL.copy()
    twin[:, 3] = twin[:, 0] * (1 + 1e-6)
    cases = [
        case | {"action": action}
        for case in trained("features")
        for action in (0, 3)
        if int(np.argmax(np.array(case["features"]) @ twin[:, :3])) == 0
    ]
    assert cases
    assert built(lines(cases), model=linear_onnx(3, ACTIONS, kernel=twin)).ready


def test_the_tolerance_is_a_setting(candidate_of: CandidateOf) -> None:
    cases = trained("probabilities")
    cases[0]["probabilities"][0] += 0.01

    def ready(tolerance: float) -> bool:
        parts = {"model": linear_onnx(3, ACTIONS), "preprocessor": NORMALISING}
        limits = BuildLimits(golden_tolerance=tolerance)
        return candidate_of(CONTRACT, limits, golden=lines(cases), **parts).assemble().ready

    assert (ready(0.02), ready(0.005)) == (True, False)


@pytest.mark.parametrize(
    ("golden", "faults"),
    [
        ("", "there are none"),
        ("\n\n", "there are none"),
        ("{]\n", "line 1: "),
        ('{"action": 1}\n', "line 1: Object missing required field `observation`"),
        ('{"observation": {}, "acton": 1}\n', "line 1: Object contains unknown field `acton`"),
        ('\n{"observation": {}}\n', "line 2: it states nothing"),
        ('{"observation": {"height": 1}, "action": 1}', "line 1: not an observation"),
        (b"PK\x03\x04 nothing", "no sound .npz"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    built: Built, golden: bytes | str, faults: str
) -> None:
    report = built(golden)
    assert report.rejected is not None
    assert faults in "\n".join([report.rejected, *map(str, report.faults)])


def test_cases_of_another_width_do_not_fit(built: Built) -> None:
    cases = trained("action")
    cases[3] |= {"distribution_inputs": [1.0, 2.0]}
    report = built(lines(cases))
    assert report.rejected is not None
    assert "Of distribution inputs this policy has 4." in report.rejected
    assert [str(fault) for fault in report.faults] == ["line 4: 2 were recorded."]


def test_an_action_that_the_policy_does_not_have_disagrees(built: Built) -> None:
    cases = trained("action")
    for action in (4, -1, 1.5):
        cases[5]["action"] = action
        assert "The worst is line 6" in verdict(built(lines(cases)))


def test_continuous_actions_are_compared_by_mean_and_deviation(candidate_of: CandidateOf) -> None:
    contract = Contract(CONTRACT.schema, actions_of(discrete=False))
    kernel = linear_kernel(3, 2)
    cases: Cases = []
    for observation in observed(5):
        mean, log = np.array([observation["speed"] / 9, 0.0, 1.0]) @ kernel
        dimension = {"mean": float(mean), "standard_deviation": float(np.exp(log))}
        distribution = {"dimensions": [dimension]}
        cases.append({"observation": observation, "distribution": distribution, "action": mean})
    code = "def preprocess(observation):\n    return [observation['speed'] / 9, 0.0, 1.0]\n"
    parts = {"model": linear_onnx(3, 2, output="mean_log_std"), "preprocessor": code}
    report = candidate_of(contract, golden=lines(cases), **parts).assemble()
    assert "5 golden cases agree: means to " in verdict(report)
    cases[2]["distribution"]["dimensions"][0]["standard_deviation"] *= 1.1
    report = candidate_of(contract, golden=lines(cases), **parts).assemble()
    assert "1 of 5 golden cases disagree" in verdict(report)
    assert "standard deviations" in verdict(report)
    numbered = candidate_of(contract, golden=lines(trained("probabilities")), **parts).assemble()
    assert "the actions of this policy are real" in str(numbered.rejected)


def npz(**arrays: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


class TestArrays:
    """.npz files, of feature vectors."""

    ROWS = np.random.default_rng(4).uniform(-1, 1, (CASES, 3)).astype(np.float32)

    def test_the_network_alone_is_asked_and_that_is_said(self, built: Built) -> None:
        report = built(npz(observations=self.ROWS, logits=self.ROWS @ KERNEL))
        assert verdict(report).startswith(
            "40 golden cases of features, without the preprocessor, agree: distribution inputs"
        )
        wrong = built(npz(observations=self.ROWS, logits=self.ROWS @ KERNEL[:, ::-1]))
        assert "compare the order of the actions" in verdict(wrong)

    def test_log_probabilities_of_draws_are_compared(self, built: Built) -> None:
        actions = np.random.default_rng(0).integers(0, ACTIONS, CASES)
        logs = special.log_softmax(self.ROWS @ KERNEL, axis=1)[np.arange(CASES), actions]
        drawn = {"observations": self.ROWS, "actions": actions, "action_logp": logs}
        assert built(npz(**drawn)).ready
        drawn["action_logp"] = logs + 0.01
        assert "log-probability of the action drawn" in verdict(built(npz(**drawn)))
        drawn["actions"] = actions + ACTIONS
        assert "cannot take" in str(built(npz(**drawn)).rejected)

    @pytest.mark.parametrize(
        ("arrays", "told"),
        [
            ({"logits": np.zeros((3, 4))}, "observations: feature vectors are wanted"),
            ({"observations": np.zeros((3, 3))}, "nothing was recorded"),
            (
                {"observations": np.zeros((3, 3)), "logits": np.zeros((2, 4))},
                "logits: 3 rows of numbers",
            ),
            (
                {"observations": np.zeros((3, 3)), "actions": np.zeros(3)},
                "the most probable ones are called `deterministic`",
            ),
            ({"observations": np.zeros((3, 3)), "logit": np.zeros(3)}, "logit: it is not known"),
            ({"observations": np.zeros((3, 5)), "logits": np.zeros((3, 4))}, "takes 3"),
            ({"observations": np.array([[{}]])}, "no sound .npz"),
        ],
    )
    def test_what_cannot_be_read_is_told(
        self, built: Built, arrays: dict[str, NDArray[Any]], told: str
    ) -> None:
        report = built(npz(**arrays))
        assert report.rejected is not None
        assert told in "\n".join([report.rejected, *map(str, report.faults)])


def test_a_zip_bomb_of_zeros_is_not_unpacked(candidate_of: CandidateOf) -> None:
    file = io.BytesIO()
    zeros = np.zeros((1000, 3))
    np.savez_compressed(file, observations=zeros, logits=np.zeros((1000, ACTIONS)))
    limits = BuildLimits(unpacked_bytes=50_000)
    candidate: Candidate = candidate_of(
        CONTRACT, limits, model=linear_onnx(3, ACTIONS), golden=file.getvalue()
    )
    assert "unpack to" in str(candidate.assemble().rejected)


def test_the_build_process_tells_the_same(candidate_of: CandidateOf) -> None:
    cases = trained("action")
    cases[0]["action"] = 3 - cases[0]["action"]
    candidate = candidate_of(
        CONTRACT, model=linear_onnx(3, ACTIONS), preprocessor=NORMALISING, golden=lines(cases)
    )
    report = candidate.build()
    assert "1 of 40 golden cases disagree" in verdict(report)
    assert "/actions/0: expected " in told(report)
    assert Part.GOLDEN not in report.missing
