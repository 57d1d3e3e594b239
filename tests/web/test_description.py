"""What a model's outputs are is asked and answered over HTTP and from a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn, run_command

SCHEMA = """
observations:
  speed: {type: float, minimum: 0, maximum: 9}
  gear: {type: int, minimum: 1, maximum: 5}
parameters: {discrete: false}
"""
OBSERVATION = {"speed": 2.5, "gear": 3}
MEANS = np.array([2.5, 3.0]) @ linear_kernel(2, 2)
MODEL = linear_onnx(2, 2, output="output")
DESCRIPTION = b"reads: means\n"
OTHERS = ("predict_deterministic", "predict_raw", "predict_batch")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base_path = tmp_path_factory.mktemp("described") / "instance"
    made = run_command("schema", "-", "--noclients", base_path=base_path, text=SCHEMA)
    assert made.returncode == 0, made.stdout + made.stderr
    with gunicorn(base_path) as server:
        yield server


def send(server: Server, operation: str, **files: bytes) -> Any:
    named = {f"{name}_file": (name, content) for name, content in files.items()}
    url = f"{server.url}/{operation}"
    return server.session.post(url, files=named, auth=(USER, PASSWORD), timeout=120)


def test_a_model_that_says_nothing_is_asked_and_then_decides(server: Server) -> None:
    asked = send(server, "model", model=MODEL)
    assert (asked.status_code, asked.json()["state"]) == (200, "incomplete")
    (question,) = [check["detail"] for check in asked.json()["checks"] if not check["passed"]]
    for line in ("`output`", "`reads: means`", "`reads: mean_log_std`", "`description_file`"):
        assert line in question
    assert server.get("health/ready").status_code == 503
    answered = send(server, "model", model=MODEL, description=DESCRIPTION)
    assert answered.json()["state"] == "active", answered.text
    drawn = server.post("predict", OBSERVATION).json()
    assert drawn == {"actions": pytest.approx(MEANS, rel=1e-5)}
    bodies = [OBSERVATION, {"obs": [2.5, 3.0]}, {"observations": [OBSERVATION] * 3}]
    for operation, body in zip(OTHERS, bodies, strict=True):
        answer = server.post(operation, body).json()
        assert all(each == drawn for each in answer.get("predictions", [answer])), operation
    weighed = server.post("distribution", OBSERVATION).json()
    assert weighed == {
        "dimensions": [{"mean": mean, "standard_deviation": 0.0} for mean in drawn["actions"]]
    }


def test_a_whole_policy_brings_its_description(server: Server) -> None:
    refused = send(server, "policy", model=MODEL)
    assert refused.status_code == 422
    assert "`reads: means`" in refused.json()["detail"]
    wrong = send(server, "policy", model=MODEL, description=b"read: means\n")
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "model.yaml:1"
    taken = send(server, "policy", model=MODEL, description=b"reads: mean_log_std\n")
    assert taken.json()["state"] == "active", taken.text
    assert server.post("predict_deterministic", OBSERVATION).json()["density"] > 0
    parts = [each["parts"] for each in server.get("versions").json()["versions"]]
    assert ["description", "model"] in [sorted(each) for each in parts]


def test_a_folder_holds_it_as_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    (folder / "policy.onnx").write_bytes(MODEL)
    asked = run_command("check", folder, base_path=tmp_path / "instance")
    assert asked.returncode != 0
    assert "`reads: means`" in asked.stdout + asked.stderr
    (folder / "model.yaml").write_bytes(DESCRIPTION)
    checked = run_command("check", folder, base_path=tmp_path / "instance")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "read as means" in checked.stdout + checked.stderr


def test_a_description_is_not_taken_over_by_another_model(server: Server) -> None:
    assert send(server, "policy", model=MODEL, description=DESCRIPTION).ok
    other = send(server, "model", model=linear_onnx(2, 2, seed=1, output="output"))
    assert other.json()["state"] == "incomplete"
    assert server.post("predict", OBSERVATION).ok
