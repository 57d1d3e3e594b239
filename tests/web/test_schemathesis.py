"""Schemathesis against the served specification: no 5xx, no undocumented answer."""

import base64
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from policy_server.clients.further import FURTHER
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish

EXAMPLES, UPLOADS = 10, 4
"""Of each operation; what is uploaded is built, by a process of its own."""
DECIDING = "predict|distribution|step"
VALID_MAY_BE_REFUSED = (
    "/(model|preprocessor|outputmapper|policy|archive|policies/.*|predict_raw|step|step_batch)$"
)
"""Of a file, a signed memory, or a vector whose width only the network knows, the spec cannot say
all."""

PNG_TEXT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAGCAIAAACEmcMcAAAAF0lEQV"
    "R4AWNkYGRiRgIs/Pz8SFxmSvkAVUIB0s9KudgAAAAASUVORK5CYII="
)
DRIVE = """\
observations:
  speed: {type: float, minimum: 0, maximum: 9, example: 3}
  front: {type: "List[int]", shape: [6, 5, 3], encoding: png, minimum: 0, maximum: 255,
    example: PNG}
  ranges: {type: "List[float]", shape: [2], maximum: 9, encoding: base64, example: AAAAPwAAAEA=}
  may: {type: "List[bool]", shape: [3], mask_of: steer, example: [true, false, true]}
actions:
  throttle: {type: float, minimum: 0, maximum: 1}
  steer: {type: str, enum: [left, straight, right]}
""".replace("PNG", PNG_TEXT)
STOCK = "parameters: {discrete: true}\n"


def schemathesis(
    server: Server, *options: str, examples: int = EXAMPLES
) -> subprocess.CompletedProcess[str]:
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", "--no-color"]
    command += [f"{server.url}/swagger.json", "-H", f"Authorization: Basic {token}"]
    # Else it would ask for answers within no time, and find 504 as documented.
    command += ["-H", "X-Request-Timeout: 60"]
    command += ["--max-examples", str(examples), "--seed", "1", "--generation-database", "none"]
    return subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=server.log.parent,
    )


def test_every_answer_is_documented(lpoc_server: Server) -> None:
    for made in ("clients", *(f"clients/{each.name}" for each in FURTHER)):
        while lpoc_server.get(made).status_code == 503:  # until the SDKs are made
            time.sleep(0.5)
    done = schemathesis(lpoc_server, "--exclude-path-regex", VALID_MAY_BE_REFUSED)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 21" in done.stdout


@pytest.mark.parametrize("example", ["tuple", "thermostat"])
def test_every_decision_is_documented(example: str, request: pytest.FixtureRequest) -> None:
    """What else a service has depends on no schema."""
    server: Server = request.getfixturevalue(f"{example}_server")
    deciding = "/(predict|predict_batch|distribution|distribution_batch)$"
    done = schemathesis(server, "--include-path-regex", deciding)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 5" in done.stdout


def test_every_answer_to_files_vectors_and_memories_is_documented(lpoc_server: Server) -> None:
    done = schemathesis(
        lpoc_server,
        "--include-path-regex",
        VALID_MAY_BE_REFUSED,
        "--exclude-checks",
        "positive_data_acceptance",
        examples=UPLOADS,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "Tested: 11" in done.stdout


@pytest.mark.parametrize(
    ("schema", "features", "outputs", "tested"),
    [(DRIVE, 1 + 6 * 5 * 3 + 2, 2 + 3, 9), (STOCK, 4, 3, 1)],
    ids=["pictures, a mask, mixed actions", "no observations"],
)
def test_every_answer_to_other_kinds_of_schemas_is_documented(
    tmp_path: Path, schema: str, features: int, outputs: int, tested: int
) -> None:
    """That a text is the PNG that is wanted, or a mask allows something, the spec cannot say."""
    (tmp_path / "schema.yaml").write_text(schema)
    kernel = (linear_kernel(features, outputs) / 1000).astype(np.float32)
    network = linear_onnx(features, outputs, output="action_dist_inputs", kernel=kernel)
    (tmp_path / "policy.onnx").write_bytes(network)
    excluded = ["--exclude-checks", "positive_data_acceptance"]
    with gunicorn(publish(tmp_path, tmp_path / "instance")) as server:
        specification = server.get("swagger.json").json()
        example = specification["definitions"]["Observation"].get("example")
        if example is not None:
            assert server.post("predict", example).status_code == 200
        done = schemathesis(server, "--include-path-regex", DECIDING, *excluded)
    assert done.returncode == 0, done.stdout[-6000:]
    assert f"Tested: {tested}" in done.stdout
