"""The operations of the contract, asked of real servers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from tests.support.server import KEY, ROOT, Server

OBSERVATIONS = 20
Observations = list[dict[str, Any]]


def observations_of(example: str) -> Observations:
    text = (ROOT / "examples" / example / "schema.yaml").read_text()
    return list(random_observations(read_schema(text), OBSERVATIONS, seed=4))


@pytest.fixture(scope="module")
def lpoc() -> Observations:
    return observations_of("lpoc")


def test_a_discrete_prediction_has_the_contracts_shape(
    lpoc_server: Server, lpoc: Observations
) -> None:
    meanings = yaml.safe_load((ROOT / "examples/lpoc/output_mapper.yaml").read_text())
    for observation in lpoc:
        answer = lpoc_server.post("predict", observation)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "application/json"
        prediction = answer.json()
        assert prediction.keys() == {"action", "meaning", "probability"}
        assert prediction["meaning"] == meanings[prediction["action"]]
        (head,) = lpoc_server.post("distribution", observation).json()["heads"]
        assert head["actions"] == list(range(5))
        assert head["meanings"] == [meanings[action] for action in range(5)]
        assert sum(head["probabilities"]) == pytest.approx(1)
        assert prediction["probability"] == pytest.approx(
            head["probabilities"][prediction["action"]]
        )


def test_the_deterministic_action_is_the_most_probable(
    lpoc_server: Server, lpoc: Observations
) -> None:
    for observation in lpoc:
        head = lpoc_server.post("distribution", observation).json()["heads"][0]
        prediction = lpoc_server.post("predict_deterministic", observation).json()
        assert prediction["action"] == int(np.argmax(head["probabilities"]))


def test_the_entropy_is_that_of_the_probabilities(lpoc_server: Server, lpoc: Observations) -> None:
    for observation in lpoc:
        distribution = lpoc_server.post("distribution", observation).json()
        p = np.array(distribution["heads"][0]["probabilities"])
        assert distribution["entropy"] == pytest.approx(-np.sum(p * np.log(p)), abs=1e-9)


def test_a_tuple_prediction_is_joint(tuple_server: Server) -> None:
    for observation in observations_of("simple_stochastic_tuple"):
        prediction = tuple_server.post("predict", observation).json()
        assert prediction.keys() == {"actions", "meanings", "probability"}
        heads = tuple_server.post("distribution", observation).json()["heads"]
        assert [len(head["actions"]) for head in heads] == [2, 3]
        chosen = [
            head["probabilities"][action]
            for head, action in zip(heads, prediction["actions"], strict=True)
        ]
        assert prediction["probability"] == pytest.approx(np.prod(chosen))
        assert prediction["meanings"] == [
            head["meanings"][action]
            for head, action in zip(heads, prediction["actions"], strict=True)
        ]


def test_a_continuous_prediction_is_a_density(thermostat_server: Server) -> None:
    for observation in observations_of("thermostat"):
        prediction = thermostat_server.post("predict", observation).json()
        assert prediction.keys() == {"action", "density"}
        distribution = thermostat_server.post("distribution", observation).json()
        (dimension,) = distribution["dimensions"]
        mean, deviation = dimension["mean"], dimension["standard_deviation"]
        z = (prediction["action"] - mean) / deviation
        expected = np.exp(-0.5 * z * z) / (deviation * np.sqrt(2 * np.pi))
        assert prediction["density"] == pytest.approx(expected)
        expected_entropy = 0.5 * np.log(2 * np.pi * np.e * deviation**2)
        assert distribution["entropy"] == pytest.approx(expected_entropy)
        deterministic = thermostat_server.post("predict_deterministic", observation).json()
        assert deterministic["action"] == pytest.approx(mean)


def test_a_seed_repeats_the_draw_and_others_differ(lpoc_server: Server, lpoc: Observations) -> None:
    def actions(seed: int) -> list[int]:
        return [
            lpoc_server.post("predict", observation, params={"seed": seed}).json()["action"]
            for observation in lpoc
        ]

    assert actions(1) == actions(1)
    assert len({tuple(actions(seed)) for seed in range(5)}) > 1


def test_a_batch_keeps_the_order(lpoc_server: Server, lpoc: Observations) -> None:
    predictions = lpoc_server.post(
        "predict_batch", {"observations": lpoc}, params={"seed": 3}
    ).json()["predictions"]
    assert len(predictions) == len(lpoc)
    for observation, prediction in zip(lpoc, predictions, strict=True):
        head = lpoc_server.post("distribution", observation).json()["heads"][0]
        probability = head["probabilities"][prediction["action"]]
        assert prediction["probability"] == pytest.approx(probability)
    first = lpoc_server.post("predict", lpoc[0], params={"seed": 3}).json()
    assert predictions[0]["action"] == first["action"]


def test_a_batch_of_distributions_is_each_of_them_in_order(
    lpoc_server: Server, lpoc: Observations
) -> None:
    answer = lpoc_server.post("distribution_batch", {"observations": lpoc}).json()
    singly = [lpoc_server.post("distribution", each).json() for each in lpoc]
    assert len(answer["distributions"]) == len(lpoc)
    for found, alone in zip(answer["distributions"], singly, strict=True):
        assert found["heads"][0]["probabilities"] == pytest.approx(
            alone["heads"][0]["probabilities"], abs=1e-6
        )


def test_an_empty_batch_has_no_predictions(lpoc_server: Server) -> None:
    assert lpoc_server.post("predict_batch", {"observations": []}).json() == {"predictions": []}


def test_raw_features_decide_without_the_preprocessor(
    lpoc_server: Server, lpoc: Observations
) -> None:
    namespace: dict[str, Any] = {}
    exec((ROOT / "examples/lpoc/preprocessor.py").read_text(), namespace)
    for observation in lpoc[:5]:
        features = [float(number) for number in namespace["preprocess"](observation)]
        raw = lpoc_server.post("predict_raw", {"obs": features}, params={"seed": 8}).json()
        whole = lpoc_server.post("predict", observation, params={"seed": 8}).json()
        assert raw["action"] == whole["action"]
        assert raw["probability"] == pytest.approx(whole["probability"], rel=1e-4)


def test_raw_features_of_another_width_name_both_numbers(lpoc_server: Server) -> None:
    answer = lpoc_server.post("predict_raw", {"obs": [1, 2]})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"pointer": "/obs", "detail": "2 numbers were sent, the network takes 39."}
    ]


def test_every_decision_names_its_version(
    lpoc_server: Server, published_lpoc: Path, lpoc: Observations
) -> None:
    version = (published_lpoc / "active").read_text().strip()
    answers = [
        lpoc_server.post(operation, lpoc[0])
        for operation in ("predict", "predict_deterministic", "distribution")
    ]
    answers.append(lpoc_server.post("predict_batch", {"observations": lpoc}))
    answers.append(lpoc_server.post("predict_raw", {"obs": [0] * 39}))
    assert {answer.headers["X-Policy-Version"] for answer in answers} == {version}


def test_the_schema_is_served_as_it_was_given(lpoc_server: Server) -> None:
    answer = lpoc_server.get("schema")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text == (ROOT / "examples/lpoc/schema.yaml").read_text()


def test_health_needs_no_credentials(lpoc_server: Server, published_lpoc: Path) -> None:
    assert lpoc_server.get("health/live", auth=None).json() == {"status": "ok"}
    version = (published_lpoc / "active").read_text().strip()
    policy = {"status": "ok", "version": version, "workers": {"deciding": 1, "all": 1}}
    ready = lpoc_server.get("health/ready", auth=None).json()
    assert ready == {**policy, "policies": [{"policy": "default", **policy}]}


def test_the_root_leads_to_the_ui(lpoc_server: Server) -> None:
    root = lpoc_server.url.removesuffix("/api")
    answer = lpoc_server.session.get(root, timeout=10)
    assert answer.url == f"{lpoc_server.url}/ui/"
    assert "swagger-ui" in answer.text


def test_the_specification_shows_no_names_of_functions(lpoc_server: Server) -> None:
    specification = lpoc_server.session.get(f"{lpoc_server.url}/swagger.json", timeout=10)
    assert specification.json()["paths"]["/predict"]["post"]["operationId"] == "predict"
    assert "Func" not in specification.text
    assert "policy_server" not in specification.text


def test_a_key_asks_as_header_and_as_bearer_token(lpoc_server: Server, lpoc: Observations) -> None:
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}):
        assert lpoc_server.post("predict", lpoc[0], auth=None, headers=headers).status_code == 200
