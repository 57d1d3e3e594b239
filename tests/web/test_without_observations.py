"""A schema without observations: clients send the network's own input vector, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import Server, gunicorn, publish, run_command

SCHEMA = """\
parameters: {tuple: false}
actions:
  trade: {type: str, enum: [buy, hold, sell]}
"""
ROWS = np.random.default_rng(4).uniform(-2, 2, (5, 6)).round(3).tolist()
KERNEL = linear_kernel(6, 3).astype(np.float64)
BODIES: list[dict[str, object]] = [{}, {"obs": ROWS[0]}, {"observations": []}]
NOT_THERE = (
    *("predict", "predict_deterministic", "distribution"),
    *("predict_batch", "distribution_batch"),
)


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(6, 3, output="logits"))
    return publish(folder, folder / "instance")


@pytest.fixture(scope="module", params=["on", "off"])
def server(base_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with gunicorn(base_path, POLICY_SERVER_FAST_PATH=request.param) as server:
        yield server


def test_decisions_are_those_of_the_network(server: Server) -> None:
    for row in ROWS:
        answer = server.post("predict_raw?seed=3", {"obs": row}).json()
        expected = special.softmax(np.array(row) @ KERNEL)[answer["action"]]
        assert answer["probability"] == pytest.approx(expected, rel=1e-5)
        assert answer["values"] == {"trade": ["buy", "hold", "sell"][answer["action"]]}


def test_what_needs_observations_is_not_there(server: Server) -> None:
    paths = server.get("swagger.json").json()["paths"]
    asked = {path for path in paths if "predict" in path or "distribution" in path}
    assert asked == {"/predict_raw"}
    for operation in NOT_THERE:
        for body in BODIES:
            assert server.post(operation, body).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"obs": ROWS[0][1:]}, "/obs"),
        ({}, "/obs"),
        ({"obs": ["1"] * 6}, "/obs/0"),
        ({"obs": ROWS[0], "x": 1}, "/x"),
    ],
)
def test_vectors_that_do_not_fit_are_refused_with_their_place(
    server: Server, body: object, pointer: str
) -> None:
    answer = server.post("predict_raw", body)
    assert answer.status_code == 400
    assert pointer in [each["pointer"] for each in answer.json()["errors"]]


def test_the_schema_is_handed_out(server: Server) -> None:
    assert server.get("schema").text == SCHEMA


def test_a_preprocessor_is_refused_as_there_is_nothing_to_preprocess(server: Server) -> None:
    code = b"def preprocess(observation):\n    return [0.0] * 6\n"
    answer = server.upload("preprocessor", "preprocessor_file", code)
    assert answer.status_code == 422
    assert "leave the preprocessor out" in answer.json()["detail"]
    assert server.post("predict_raw", {"obs": ROWS[0]}).status_code == 200


def test_an_example_command_has_as_many_numbers_as_the_network_takes(base_path: Path) -> None:
    done = run_command("example", base_path=base_path)
    assert done.returncode == 0, done.stderr
    assert f'{{"obs": {[0.0] * 6}}}' in done.stdout
    assert done.stdout.endswith("/api/predict_raw\n")
