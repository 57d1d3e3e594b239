"""A policy whose preprocessing is declared, published and asked over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish

SCHEMA = """\
observations:
  rays: {type: "List[float]", min_items: 3, max_items: 3, minimum: 0, maximum: 10}
  gear: {type: int, minimum: 1, maximum: 2}
  speed: {type: float, minimum: 0, maximum: 200}
"""
DECLARED = """\
features:
  - field: speed
    scale: 0.01
    offset: 0.5
    clip: [-1, 1]
  - field: gear
    one_hot: true
  - field: rays
    normalise:
      framework: stable_baselines3
      file: statistics.npz
"""
MEAN, VARIANCE = np.array([1.0, 2.0, 3.0]), np.array([0.5, 4.0, 1e-9])
OBSERVATION = {"speed": 12.5, "gear": 2, "rays": [1.5, 9.0, 3.1]}
FEATURES = np.array(
    [
        np.clip(12.5 * 0.01 + 0.5, -1, 1),
        0.0,
        1.0,
        *np.clip((np.array([1.5, 9.0, 3.1]) - MEAN) / np.sqrt(VARIANCE + 1e-8), -10, 10),
    ]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "preprocessing.yaml").write_text(DECLARED)
    np.savez(folder / "statistics.npz", mean=MEAN, variance=VARIANCE)
    (folder / "policy.onnx").write_bytes(linear_onnx(6, 4))
    case = {"observation": OBSERVATION, "features": FEATURES.tolist()}
    (folder / "golden.jsonl").write_text(json.dumps(case))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with gunicorn(publish(folder, tmp_path_factory.mktemp("base") / "instance")) as server:
        yield server


def probabilities(server: Server) -> list[float]:
    answer = server.post("distribution", OBSERVATION)
    assert answer.status_code == 200, answer.text
    (head,) = answer.json()["heads"]
    found: list[float] = head["probabilities"]
    return found


def softmax(logits: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def test_decisions_are_those_of_the_declared_features(server: Server) -> None:
    expected = softmax(FEATURES @ linear_kernel(6, 4).astype(np.float64))
    np.testing.assert_allclose(probabilities(server), expected, atol=1e-5)
    raw = server.post("predict_raw?seed=4", {"obs": FEATURES.tolist()}).json()
    assert server.post("predict?seed=4", OBSERVATION).json()["action"] == raw["action"]
    many = server.post("predict_batch", {"observations": [OBSERVATION] * 3})
    assert len(many.json()["predictions"]) == 3


def upload(server: Server, content: bytes, name: str) -> requests.Response:
    return server.session.post(
        f"{server.url}/preprocessor",
        files={"preprocessor_file": (name, content)},
        auth=(USER, PASSWORD),
        timeout=120,
    )


@pytest.mark.parametrize("name", ["preprocessing.yaml", "blob", "preprocessor.py"])
def test_an_upload_is_told_by_its_content(server: Server, name: str) -> None:
    text = DECLARED.replace("file: statistics.npz", "mean: [1, 2, 3]\n      variance: [9, 9, 9]")
    answer = upload(server, f"# {name}\n{text}".replace("\n", "\r\n").encode(), name)
    # Golden cases were recorded with other statistics, which the declaration has to keep.
    assert answer.status_code == 422
    assert "golden cases disagree" in answer.json()["detail"]
    spread = ", ".join(map(repr, VARIANCE.tolist()))
    right = text.replace("[9, 9, 9]", f"[{spread}]") + f"# {name}\n"
    report = upload(server, right.encode(), name)
    assert report.status_code == 200, report.text
    (table,) = [each for each in report.json()["checks"] if each["name"] == "features"]
    assert "0: speed * 0.01 + 0.5, clipped to [-1, 1]" in table["detail"].splitlines()


def test_faults_have_their_lines(server: Server) -> None:
    problem = upload(
        server, DECLARED.replace("speed", "sped").encode(), "preprocessing.yaml"
    ).json()
    assert [(each["pointer"], each["detail"]) for each in problem["errors"]] == [
        ("preprocessing.yaml:2", "`sped` is no field of the schema: do you mean `speed`?"),
        (
            "preprocessing.yaml:11",
            "`file`: an upload is one file. `publish FOLDER` writes the numbers of a .npz into it; "
            "else write `mean` and `variance` here.",
        ),
    ]
