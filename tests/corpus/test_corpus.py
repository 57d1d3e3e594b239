"""SavedModels from the wild are built from what their authors left, and decide as they did."""

import asyncio
import io
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.samples import random_observations
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_network
from tests.support.contracts import contract_of, kept_contracts
from tests.support.corpus import CORPUS
from tests.support.policies import distributions, predict, predict_features

DRAWS = 20_000
ROWS_DRAWN = (0, 100, 200)
FEWEST_EXPECTED = 5
"""Below that many expected draws, the chi-square approximation does not hold."""

FLATTENED = """
FIELDS = {fields}
def preprocess(observation):
    features = []
    for name, width in FIELDS.items():
        value = observation.get(name, [0] * width)
        features += value if isinstance(value, list) else [float(value)]
    return features
"""
LPOC = {
    "id": 1,
    "has_left_neighbour": 1,
    "is_left_free": 1,
    "has_up_neighbour": 1,
    "is_up_free": 1,
    "has_right_neighbour": 1,
    "is_right_free": 1,
    "has_down_neighbour": 1,
    "is_down_free": 1,
    "coordinates": 2,
    "has_core": 1,
    "target": 2,
}
COMPACT = dict.fromkeys(
    (
        "mouse_row",
        "mouse_col",
        "mouse_row_distance",
        "mouse_col_distance",
        "cheese_row",
        "cheese_col",
    ),
    1,
)
ROOM = (
    "def preprocess(observation):\n"
    "    row, column = observation['mouse_row'], observation['mouse_col']\n"
    "    return [row, column, 5 - row, 5 - column]\n"
)
ONE_HOT = (
    "def preprocess(observation):\n"
    "    return [float(observation['state'] == state) for state in range(3)]\n"
)
PREPROCESSORS = {
    "lpoc": FLATTENED.format(fields=LPOC),
    "mouse_and_cheese": ROOM,
    "mouse_and_cheese_compact": FLATTENED.format(fields=COMPACT),
    "simple_stochastic_tuple": ONE_HOT,
}


@dataclass
class Published:
    """A policy of the corpus that decides, and what its training framework said.

    Attributes:
        policy: As a server loads it.
        by_features: The same network, asked with its input vector as the observation.
        inputs: Features float32[256, D] of the golden cases.
        probabilities: float64[256, A], softmax of the golden logits.
    """

    contract: Contract
    report: VersionReport
    policy: Policy
    by_features: Policy
    inputs: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    actions: NDArray[np.int64]
    logs: NDArray[np.float32]


@pytest.fixture(scope="module", params=sorted(PREPROCESSORS))
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    folder = CORPUS / request.param
    contract = ContractFile((folder / "schema.yaml").read_text(encoding="utf-8")).resolve()
    base = tmp_path_factory.mktemp(request.param) / "base"
    store = open_store(base)
    parts = {
        Part.MODEL: io.BytesIO((folder / "saved_model.zip").read_bytes()),
        Part.PREPROCESSOR: io.BytesIO(PREPROCESSORS[request.param].encode()),
    }
    parts[Part.GOLDEN] = io.BytesIO((folder / "golden.npz").read_bytes())
    if (folder / "output_mapper.yaml").exists():
        parts[Part.OUTPUT_MAPPER] = io.BytesIO((folder / "output_mapper.yaml").read_bytes())
    publisher = Publisher(store, kept_contracts(contract, base), BuildLimits())
    report = publisher.publish(Bundle(parts))
    assert store.active() == report.version
    golden = np.load(folder / "golden.npz")
    version = store.folder(report.version)
    network = read_network(version, contract)
    by_features = contract_of(network.feature_width)
    return Published(
        contract,
        report,
        asyncio.run(load_version(store, report.version, contract, ServingLimits())).policy,
        Policy(
            by_features,
            network,
            network.load_engine(version / Part.MODEL),
            SchemaPreprocessor(by_features.schema),
            OutputMapper(),
        ),
        golden["observations"],
        special.softmax(golden["action_dist_inputs"].astype(np.float64), axis=1),
        golden["actions"][:, 0],
        golden["action_logp"],
    )


def test_it_goes_active_proven_and_without_tensorflow(published: Published) -> None:
    assert published.report.state == "active"
    checks = {check.name: check for check in published.report.checks}
    assert all(check.passed for check in checks.values())
    assert {"model", "engine", "width", "proof", "decisions"} <= checks.keys()
    replayed = checks["golden cases"].detail
    assert replayed.startswith("256 golden cases of features, without the preprocessor, agree: ")
    assert "log-probability of the action drawn to " in replayed
    assert published.policy.network.engine == "onnxruntime"
    assert published.policy.network.sizes == (published.probabilities.shape[1],)


def test_distributions_are_those_of_the_training_framework(published: Published) -> None:
    observations = [{"x": row} for row in published.inputs.tolist()]
    answers = distributions(published.by_features, observations)
    served = np.array([answer["heads"][0]["probabilities"] for answer in answers])
    np.testing.assert_allclose(served, published.probabilities, atol=1e-5)
    entropies = [answer["entropy"] for answer in answers]
    expected = stats.entropy(published.probabilities, axis=1)
    np.testing.assert_allclose(entropies, expected, atol=1e-4)


def test_golden_actions_have_the_probabilities_that_were_noted(published: Published) -> None:
    observations = [{"x": row} for row in published.inputs.tolist()]
    answers = distributions(published.by_features, observations)
    chosen = [
        answer["heads"][0]["probabilities"][action]
        for answer, action in zip(answers, published.actions.tolist(), strict=True)
    ]
    np.testing.assert_allclose(np.log(chosen), published.logs, atol=1e-4)


def test_a_decision_states_the_probability_of_its_action(published: Published) -> None:
    answers = predict_features(published.policy, published.inputs, seed=5)
    for row, answer in enumerate(answers):
        expected = published.probabilities[row, answer["action"]]
        assert answer["probability"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("row", ROWS_DRAWN)
def test_draws_follow_the_exact_distribution(published: Published, row: int) -> None:
    repeated = np.repeat(published.inputs[row : row + 1], DRAWS, axis=0)
    answers = predict_features(published.policy, repeated, seed=row)
    probabilities = published.probabilities[row]
    seen = np.bincount([answer["action"] for answer in answers], minlength=len(probabilities))
    expected = DRAWS * probabilities
    rare = expected < FEWEST_EXPECTED
    if rare.any():  # all rare ones count as one action, of which a few may be drawn
        assert seen[rare].sum() <= 10 * FEWEST_EXPECTED
        seen, expected = seen[~rare], expected[~rare]
    if len(seen) > 1:
        result = stats.chisquare(seen, expected * seen.sum() / expected.sum())
        assert result.pvalue > 1e-4
    else:
        assert seen[0] > DRAWS - 10 * FEWEST_EXPECTED


def test_valid_observations_are_decided_on(published: Published) -> None:
    observations = random_observations(published.contract.schema, 50, seed=9)
    answers = predict(published.policy, observations, seed=1)
    size = published.probabilities.shape[1]
    assert all(0 <= answer["action"] < size for answer in answers)
    assert answers == predict(published.policy, observations, seed=1)
    assert answers[:1] == predict(published.policy, observations[:1], seed=1)


def test_meanings_are_the_authors_own(published: Published) -> None:
    observations = random_observations(published.contract.schema, 1, seed=9)
    (answer,) = distributions(published.policy, observations)
    meanings = {
        4: ["move up", "move right", "move down", "move left"],
        5: ["move up", "move right", "move down", "move left", "no movement"],
    }
    (head,) = answer["heads"]
    mapped = "output mapper" in {check.name for check in published.report.checks}
    numbers = [str(action) for action in head["actions"]]
    assert head["meanings"] == (meanings[len(numbers)] if mapped else numbers)
