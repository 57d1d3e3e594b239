"""Declared actions and masks over HTTP: by the fast path and without it, and in the contract."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft4Validator
from scipy import special

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import Server, gunicorn, publish

SCHEMA = """\
observations:
  x: {type: "List[float]", min_items: 3, max_items: 3}
  may: {type: "List[bool]", min_items: 3, max_items: 3, mask_of: steer, required: false}
actions:
  steer: {type: str, enum: [left, straight, right]}
  brake: {type: bool}
"""
ROWS = np.random.default_rng(5).uniform(-2, 2, (12, 3)).round(3)
NOT_LEFT = [False, True, True]


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(3, 5, output="logits"))
    return publish(folder, folder / "instance")


@pytest.fixture(scope="module", params=["on", "off"])
def server(base_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with gunicorn(base_path, POLICY_SERVER_FAST_PATH=request.param) as server:
        yield server


def steering(row: list[float], may: list[bool] | None = None) -> Any:
    """The probabilities of steering, by SciPy."""
    logits = (np.array(row) @ linear_kernel(3, 5).astype(np.float64))[:3]
    return special.softmax(np.where(may or [True] * 3, logits, -np.inf))


def test_a_decision_has_its_values(server: Server) -> None:
    served = server.get("swagger.json").json()["definitions"]
    wanted = Draft4Validator({"$ref": "#/definitions/Prediction", "definitions": served})
    for seed, row in enumerate(ROWS.tolist()):
        for operation in (f"predict?seed={seed}", "predict_deterministic"):
            answer = server.post(operation, {"x": row}).json()
            wanted.validate(answer)
            steer, brake = answer["actions"]
            names = ["left", "straight", "right"]
            assert answer["values"] == {"steer": names[steer], "brake": bool(brake)}
        assert answer["actions"][0] == steering(row).argmax()
    raw = server.post("predict_raw?seed=1", {"obs": ROWS[0].tolist()}).json()
    assert raw == server.post("predict?seed=1", {"x": ROWS[0].tolist()}).json()


def test_a_mask_is_kept(server: Server) -> None:
    observations = [{"x": row, "may": NOT_LEFT} for row in ROWS.tolist()]
    weighed = [server.post("distribution", each).json()["heads"][0] for each in observations]
    for head, row in zip(weighed, ROWS.tolist(), strict=True):
        assert head["probabilities"] == pytest.approx(steering(row, NOT_LEFT), rel=1e-5)
        assert head["probabilities"][0] == 0
    drawn = server.post("predict_batch?seed=2", {"observations": observations * 50}).json()
    values = [each["values"]["steer"] for each in drawn["predictions"]]
    assert set(values) == {"straight", "right"}
    free = {"observations": [{"x": row} for row in ROWS.tolist()] * 50}
    answers = server.post("predict_batch?seed=2", free).json()["predictions"]
    assert "left" in {each["values"]["steer"] for each in answers}


def test_a_mask_that_allows_nothing_is_named(server: Server) -> None:
    row = ROWS[0].tolist()
    nothing = {"x": row, "may": [False] * 3}
    for operation in ("predict", "predict_deterministic", "distribution"):
        refused = server.post(operation, nothing)
        assert refused.status_code == 400, refused.text
        (error,) = refused.json()["errors"]
        assert error["pointer"] == "/may"
        assert "one at least is to be allowed" in error["detail"]
    batch = {"observations": [{"x": row}, nothing, {"x": row, "may": NOT_LEFT}, nothing]}
    refused = server.post("predict_batch", batch)
    assert refused.status_code == 400
    pointers = [error["pointer"] for error in refused.json()["errors"]]
    assert pointers == ["/observations/1/may", "/observations/3/may"]
    assert server.post("predict", {"x": row, "may": [True, False]}).status_code == 400


def test_declared_actions_and_masks_are_tensors_of_the_open_inference_protocol(
    server: Server,
) -> None:
    x = {"name": "x", "datatype": "FP64", "shape": [12, 3], "data": ROWS.tolist()}
    may = {"name": "may", "datatype": "BOOL", "shape": [12, 3], "data": NOT_LEFT * 12}
    body = {"inputs": [x, may], "parameters": {"deterministic": True}}
    answer = server.post("../v2/models/default/infer", body).json()
    found = {each["name"]: each for each in answer["outputs"]}
    steer, brake = found["values.steer"], found["values.brake"]
    names, best = ["left", "straight", "right"], []
    numbers = np.reshape(found["distribution_inputs"]["data"], (12, 5))
    for row, inputs in zip(ROWS.tolist(), numbers, strict=True):
        best.append(names[int(steering(row, NOT_LEFT).argmax())])
        assert inputs[0] == np.finfo(np.float32).min
        np.testing.assert_allclose(inputs[1:], (np.array(row) @ linear_kernel(3, 5))[1:], rtol=1e-5)
    assert (steer["datatype"], steer["shape"], steer["data"]) == ("BYTES", [12, 1], best)
    assert (brake["datatype"], brake["shape"]) == ("BOOL", [12, 1])
    actions = np.reshape(found["action"]["data"], (12, 2))
    assert found["action"]["shape"] == [12, 2]
    assert brake["data"] == [bool(each) for each in actions[:, 1]]
