"""A policy, on real networks that are so simple that every answer can be worked out by hand."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import scipy.stats
from onnx import helper

from policy_server.contract.contract import Contract
from policy_server.contract.decoding import vector_of
from policy_server.contract.reading import read_schema
from policy_server.contract.specification import check_specification, render_specification
from policy_server.errors import ObservationError, PreprocessorFailed
from policy_server.policy.answers import Answer, Query
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor, UploadedPreprocessor
from tests.support.contracts import actions_of
from tests.support.onnx_writer import NetworkFile
from tests.support.policies import (
    decide,
    distributions,
    predict,
    predict_deterministic,
    predict_features,
    records_of,
)

TEMPLATE = Path(__file__).parents[2] / "swagger.template.yaml"
Build = Callable[..., Policy]


@pytest.fixture
def build(network_file: NetworkFile) -> Build:
    """Builds a policy whose network passes one array `x` through one ONNX operation."""

    def make(
        operation: str,
        family: str,
        sizes: tuple[int, ...],
        *,
        tuple_: bool = False,
        mapper: OutputMapper | None = None,
        preprocessor: Path | None = None,
    ) -> Policy:
        width = 2 * sum(sizes) if family == "gaussian" else sum(sizes)
        schema = read_schema(
            f"observations: {{x: {{type: 'List[float]', min_items: {width}, max_items: {width}}}}}"
        )
        nodes = [helper.make_node(operation, ["input"], ["output"])]
        contract = Contract(schema, actions_of(discrete=family != "gaussian", tuple_=tuple_))
        to_dict = contract.decoder.to_dict
        return Policy(
            contract,
            Network("onnxruntime", width, family, sizes),
            OnnxEngine(network_file(nodes, ["batch", width])),
            UploadedPreprocessor(preprocessor, to_dict)
            if preprocessor
            else SchemaPreprocessor(schema),
            mapper or OutputMapper(),
        )

    return make


def observations(*rows: Sequence[float]) -> list[Any]:
    return [{"x": list(row)} for row in rows]


def definition(policy_contract: Contract, name: str) -> jsonschema.Draft4Validator:
    specification = check_specification(render_specification(policy_contract, TEMPLATE))
    root = {"$ref": f"#/definitions/{name}", "definitions": specification["definitions"]}
    return jsonschema.Draft4Validator(root)


def check_native(answer: object) -> None:
    """Only what the json module and msgspec write without being taught."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            assert type(name) is str
            check_native(value)
    elif isinstance(answer, list):
        for value in answer:
            check_native(value)
    else:
        assert type(answer) in (int, float, str)
    json.dumps(answer, allow_nan=False)


MAPPER = OutputMapper([{0: "up", 1: "right", 2: "down"}])
MAPPERS = OutputMapper([{0: "up", 1: "stay"}, {0: "left", 1: "stay", 2: "right"}])
# The network takes the logarithm, so observations are the weights of the actions.


class TestDiscrete:
    def test_the_most_probable_action_is_described(self, build: Build) -> None:
        policy = build("Log", "categorical", (3,), mapper=MAPPER)
        first, second = predict_deterministic(policy, observations([1, 2, 7], [4, 1, 0]))
        assert first == {"action": 2, "meaning": "down", "probability": pytest.approx(0.7)}
        assert second == {"action": 0, "meaning": "up", "probability": pytest.approx(0.8)}
        check_native([first, second])

    def test_draws_have_their_own_probability_and_the_right_frequency(self, build: Build) -> None:
        policy = build("Log", "categorical", (3,), mapper=MAPPER)
        answers = predict(policy, observations(*[[1, 2, 7]] * 5000), seed=1)
        check_native(answers)
        for answer in answers:
            assert set(answer) == {"action", "meaning", "probability"}
            assert answer["meaning"] == ["up", "right", "down"][answer["action"]]
            assert answer["probability"] == pytest.approx([0.1, 0.2, 0.7][answer["action"]])
        counts = np.bincount([answer["action"] for answer in answers], minlength=3)
        assert scipy.stats.chisquare(counts, [500, 1000, 3500]).pvalue > 1e-3

    def test_a_masked_action_is_never_drawn_and_has_probability_zero(self, build: Build) -> None:
        policy = build("Log", "categorical", (3,))
        answers = predict(policy, observations(*[[1, 0, 3]] * 2000), seed=2)
        assert {answer["action"] for answer in answers} == {0, 2}
        [distribution] = distributions(policy, observations([1, 0, 3]))
        assert distribution["heads"][0]["probabilities"][1] == 0.0

    def test_without_a_mapper_the_meaning_is_the_number(self, build: Build) -> None:
        [answer] = predict_deterministic(build("Log", "categorical", (3,)), observations([0, 0, 1]))
        assert answer == {"action": 2, "meaning": "2", "probability": 1.0}

    def test_the_distribution_is_exact(self, build: Build) -> None:
        policy = build("Log", "categorical", (3,), mapper=MAPPER)
        [answer] = distributions(policy, observations([1, 2, 7]))
        assert answer == {
            "heads": [
                {
                    "actions": [0, 1, 2],
                    "meanings": ["up", "right", "down"],
                    "probabilities": pytest.approx([0.1, 0.2, 0.7]),
                }
            ],
            "entropy": pytest.approx(scipy.stats.entropy([0.1, 0.2, 0.7]), rel=1e-6),
        }
        check_native([answer])

    def test_the_action_of_the_highest_value_is_certain(self, build: Build) -> None:
        policy = build("Identity", "greedy", (3,), mapper=MAPPER)
        wanted = {"action": 1, "meaning": "right", "probability": 1.0}
        batch = observations([-3, 5, 4.9])
        assert predict(policy, batch) == predict_deterministic(policy, batch) == [wanted]
        [answer] = distributions(policy, batch)
        assert answer["heads"][0]["probabilities"] == [0.0, 1.0, 0.0]
        assert answer["entropy"] == 0.0
        check_native([answer])


class TestDiscreteTuple:
    def test_the_probability_is_that_of_all_together(self, build: Build) -> None:
        policy = build("Log", "categorical", (2, 3), tuple_=True, mapper=MAPPERS)
        [answer] = predict_deterministic(policy, observations([1, 3, 5, 3, 2]))
        assert answer == {
            "actions": [1, 0],
            "meanings": ["stay", "left"],
            "probability": pytest.approx(0.75 * 0.5),
        }
        check_native(answer)

    def test_draws_are_joint(self, build: Build) -> None:
        policy = build("Log", "categorical", (2, 3), tuple_=True, mapper=MAPPERS)
        answers = predict(policy, observations(*[[1, 3, 5, 3, 2]] * 3000), seed=3)
        counts = np.zeros((2, 3))
        for answer in answers:
            first, second = answer["actions"]
            counts[first, second] += 1
            assert answer["meanings"] == [["up", "stay"][first], ["left", "stay", "right"][second]]
            wanted = [0.25, 0.75][first] * [0.5, 0.3, 0.2][second]
            assert answer["probability"] == pytest.approx(wanted)
        expected = 3000 * np.outer([0.25, 0.75], [0.5, 0.3, 0.2])
        assert scipy.stats.chisquare(counts.ravel(), expected.ravel()).pvalue > 1e-3

    def test_each_head_is_described(self, build: Build) -> None:
        policy = build("Log", "categorical", (2, 3), tuple_=True, mapper=MAPPERS)
        first, second = distributions(policy, observations([1, 3, 5, 3, 2], [1, 1, 1, 0, 0]))
        assert [head["actions"] for head in first["heads"]] == [[0, 1], [0, 1, 2]]
        assert first["heads"][1]["meanings"] == ["left", "stay", "right"]
        assert first["heads"][0]["probabilities"] == pytest.approx([0.25, 0.75])
        assert second["heads"][1]["probabilities"] == [1.0, 0.0, 0.0]
        assert second["entropy"] == pytest.approx(np.log(2), rel=1e-6)

    def test_one_head_may_be_a_tuple(self, build: Build) -> None:
        policy = build("Log", "categorical", (2,), tuple_=True)
        [answer] = predict_deterministic(policy, observations([1, 0]))
        assert answer == {"actions": [0], "meanings": ["0"], "probability": 1.0}


class TestContinuous:
    @pytest.mark.parametrize("tuple_", [False, True])
    def test_the_mean_is_the_deterministic_action(self, tuple_: bool, build: Build) -> None:
        policy = build("Identity", "gaussian", (1,), tuple_=tuple_)
        [answer] = predict_deterministic(policy, observations([0.5, -2]))
        action = answer.pop("actions" if tuple_ else "action")
        assert action == ([0.5] if tuple_ else 0.5)
        assert answer == {"density": pytest.approx(scipy.stats.norm(0.5, np.exp(-2)).pdf(0.5))}
        assert answer["density"] > 1
        check_native([answer, action])

    @pytest.mark.parametrize("tuple_", [False, True])
    @pytest.mark.parametrize("sizes", [(2,), (1, 1)])
    def test_several_dimensions_have_a_joint_density(
        self, sizes: tuple[int, ...], tuple_: bool, build: Build
    ) -> None:
        policy = build("Identity", "gaussian", sizes, tuple_=tuple_)
        row = [1, 3, -1, 0.5] if sizes == (2,) else [1, -1, 3, 0.5]
        normal = scipy.stats.norm([1, 3], np.exp([-1, 0.5]))
        for answer in predict(policy, observations(row, row), seed=4):
            assert set(answer) == {"actions", "density"}
            assert answer["density"] == pytest.approx(normal.pdf(answer["actions"]).prod())
            check_native(answer)
        [described] = distributions(policy, observations(row))
        deviations = np.exp(np.array([-1, 0.5]))
        assert described == {
            "dimensions": [
                {"mean": 1.0, "standard_deviation": pytest.approx(deviations[0])},
                {"mean": 3.0, "standard_deviation": pytest.approx(deviations[1])},
            ],
            "entropy": pytest.approx(normal.entropy().sum()),
        }
        check_native(described)

    def test_a_point_has_a_density_that_json_can_say(self, build: Build) -> None:
        policy = build("Identity", "gaussian", (1,))
        for answer in predict(policy, observations([0.5, -3e38]), seed=1):
            assert answer["action"] == 0.5
            check_native(answer)


KINDS: list[tuple[str, str, tuple[int, ...], bool]] = [
    ("Log", "categorical", (3,), False),
    ("Log", "categorical", (2, 3), True),
    ("Identity", "greedy", (3,), False),
    ("Identity", "greedy", (3,), True),
    ("Identity", "gaussian", (1,), False),
    ("Identity", "gaussian", (2,), False),
    ("Identity", "gaussian", (1,), True),
    ("Identity", "gaussian", (2, 1), True),
]


@pytest.mark.parametrize(("operation", "family", "sizes", "tuple_"), KINDS)
class TestEveryKind:
    def test_answers_are_those_of_the_contract(
        self, operation: str, family: str, sizes: tuple[int, ...], tuple_: bool, build: Build
    ) -> None:
        policy = build(operation, family, sizes, tuple_=tuple_)
        batch = observations(np.linspace(0.1, 1, policy.network.feature_width).tolist())
        contract = Contract(
            read_schema("observations: {x: {type: int}}"),
            actions_of(discrete=family != "gaussian", tuple_=tuple_),
        )
        prediction = definition(contract, "Prediction")
        for answer in predict(policy, batch) + predict_deterministic(policy, batch):
            prediction.validate(answer)
            assert set(answer) <= {"action", "actions", "meaning", "meanings", "probability",
                                   "density"}  # fmt: skip
        distribution = definition(contract, "Distribution")
        for answer in distributions(policy, batch):
            distribution.validate(answer)

    def test_a_seed_repeats_a_batch_and_its_beginning(
        self, operation: str, family: str, sizes: tuple[int, ...], tuple_: bool, build: Build
    ) -> None:
        policy = build(operation, family, sizes, tuple_=tuple_)
        rows = np.random.default_rng(0).uniform(0.1, 1, (5, policy.network.feature_width))
        batch = observations(*rows.tolist())

        def actions(answers: list[Answer]) -> list[Any]:
            return [answer.get("action", answer.get("actions")) for answer in answers]

        whole = predict(policy, batch, seed=9)
        assert predict(policy, batch, seed=9) == whole
        assert actions(predict(policy, batch[:1], seed=9)) == actions(whole[:1])
        features = policy.features(records_of(policy, batch))
        assert predict_features(policy, features, seed=9) == whole
        if family != "greedy":
            draws = [actions(predict(policy, batch, seed=seed)) for seed in range(20)]
            assert any(draw != draws[0] for draw in draws)
            unseeded = [actions(predict(policy, batch)) for _ in range(20)]
            assert any(draw != unseeded[0] for draw in unseeded)

    def test_an_empty_batch_has_no_answers(
        self, operation: str, family: str, sizes: tuple[int, ...], tuple_: bool, build: Build
    ) -> None:
        policy = build(operation, family, sizes, tuple_=tuple_)
        assert predict(policy, []) == []
        assert predict(policy, [], seed=1) == []
        assert predict_deterministic(policy, []) == []
        assert distributions(policy, []) == []


class TestWidths:
    def test_a_preprocessor_of_another_width_names_both(self, build: Build, tmp_path: Path) -> None:
        path = tmp_path / "preprocessor.py"
        path.write_text("def preprocess(observation):\n  return observation['x'] + [1, 2]\n")
        policy = build("Log", "categorical", (3,), preprocessor=path)
        with pytest.raises(PreprocessorFailed) as caught:
            predict(policy, observations([1, 2, 3]))
        assert caught.value.cause == "preprocess returned 5 numbers, the network takes 3"

    @pytest.mark.parametrize("count", [0, 2, 4])
    def test_raw_features_of_another_width_name_both(self, count: int, build: Build) -> None:
        policy = build("Log", "categorical", (3,))
        with pytest.raises(ObservationError) as caught:
            policy.raw_features(np.ones(count))
        [fault] = caught.value.faults
        assert fault.place == "/obs"
        assert fault.detail == f"{count} numbers were sent, the network takes 3."

    @pytest.mark.parametrize("number", [1e39, -1e39, 10**400])
    def test_raw_features_beyond_float32_are_refused(self, number: float, build: Build) -> None:
        with pytest.raises(ObservationError, match="too large for the network") as caught:
            build("Log", "categorical", (3,)).raw_features(vector_of([1, number, 2]))
        assert [fault.place for fault in caught.value.faults] == ["/obs/1"]

    def test_raw_features_are_the_networks_own_input(self, build: Build) -> None:
        policy = build("Log", "categorical", (3,))
        features = policy.raw_features(vector_of([1, 2, 7]))
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, [[1, 2, 7]])
        [answer] = predict_features(policy, features, seed=1)
        assert answer["probability"] == pytest.approx([0.1, 0.2, 0.7][answer["action"]])


class TestNoAnswer:
    @pytest.mark.parametrize("query", ["draw", "mode", "describe"])
    def test_every_observation_without_one_is_named(self, query: Query, build: Build) -> None:
        policy = build("Log", "categorical", (3,))
        batch = observations([1, 1, 1], [-1, 1, 1], [1, 0, 0], [0, 0, 0])
        with pytest.raises(ObservationError) as caught:
            decide(policy, batch, query)
        assert [(fault.place, fault.detail) for fault in caught.value.faults] == [
            (
                "/observations/1",
                "the network has no finite answer to this: a logit is NaN or +inf.",
            ),
            (
                "/observations/3",
                "the network has no finite answer to this: every action is masked.",
            ),
        ]

    def test_one_alone_is_the_body_itself(self, build: Build) -> None:
        with pytest.raises(ObservationError) as caught:
            predict(build("Log", "categorical", (3,)), observations([-1, 1, 1]))
        assert [fault.place for fault in caught.value.faults] == [""]

    @pytest.mark.parametrize("row", [[0, 100], [0, 1e38]])
    def test_a_deviation_beyond_all_bounds_is_no_answer(
        self, row: list[float], build: Build
    ) -> None:
        with pytest.raises(ObservationError, match="beyond float32"):
            predict(build("Identity", "gaussian", (1,)), observations(row))

    def test_a_mean_that_is_no_number_is_no_answer(self, build: Build) -> None:
        with pytest.raises(ObservationError, match="not finite"):
            predict(build("Log", "gaussian", (1,)), observations([-1, 1]))


class TestDefaults:
    def test_the_preprocessor_gets_them_and_nothing_for_the_rest(
        self, network_file: NetworkFile, tmp_path: Path
    ) -> None:
        schema = read_schema(
            "observations: {a: {type: int, default: 3, required: false}, "
            "b: {type: int, required: false}}"
        )
        path = tmp_path / "preprocessor.py"
        path.write_text("def preprocess(o):\n  return [o['a'], len(o), o.get('b', -1)]\n")
        nodes = [helper.make_node("Identity", ["input"], ["output"])]
        contract = Contract(schema)
        policy = Policy(
            contract,
            Network("onnxruntime", 3, "categorical", (3,)),
            OnnxEngine(network_file(nodes, ["batch", 3])),
            UploadedPreprocessor(path, contract.decoder.to_dict),
            OutputMapper(),
        )
        features = policy.features(records_of(policy, [{}, {"b": 7}]))
        np.testing.assert_array_equal(features, [[3, 1, -1], [3, 2, 7]])
