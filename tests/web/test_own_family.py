"""A family of distributions from one file of its own is served like those of the package.

CONTRIBUTING's recipe "a distribution", walked: `tests/support/warm_family.py` is all that it takes.
The server imports it, and so does each build. Here nothing does: what is expected is SciPy's.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft4Validator
from numpy.typing import NDArray
from scipy import special, stats

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.contract.specification import check_specification, render_specification
from policy_server.resources import TEMPLATE
from policy_server.version.network_description import NetworkDescription
from policy_server.version.parts import Part
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import PASSWORD, USER, Server, gunicorn, run_command

SCHEMA = 'observations:\n  x: {type: "List[float]", min_items: 3, max_items: 3}\n'
APP = "import tests.support.warm_family\nfrom app import app\n"
MODEL = linear_onnx(3, 4, output="scores")
MEANINGS = ["north", "east", "south", "west"]
MAPPER = "".join(f"{number}: {meaning}\n" for number, meaning in enumerate(MEANINGS)).encode()
DESCRIPTION = b"reads: warm_logits\n"
TEMPERATURE = 2.0
ROWS = np.random.default_rng(5).uniform(-2, 2, (12, 3))
DRAWS = 400
SURE = 1e-4
"""A chi-square below it comes by chance once in ten thousand runs; seeds are fixed, so never."""


def expected(row: Sequence[float], temperature: float = TEMPERATURE) -> NDArray[np.float64]:
    logits = np.array(row) @ linear_kernel(3, 4).astype(np.float64)
    shares: NDArray[np.float64] = special.softmax(logits / temperature)
    return shares


def golden(temperature: float) -> bytes:
    """What training would have recorded of policies that draw at a temperature."""
    cases = []
    for row in ROWS.tolist():
        shares = expected(row, temperature)
        head = {"actions": [0, 1, 2, 3], "probabilities": shares.tolist()}
        best = int(shares.argmax())
        cases.append(
            {
                "observation": {"x": row},
                "distribution": {"heads": [head], "entropy": float(stats.entropy(shares))},
                "action": best,
                "meaning": MEANINGS[best],
            }
        )
    return "".join(json.dumps(case) + "\n" for case in cases).encode()


def upload(server: Server, **parts: bytes) -> Any:
    files = {f"{name}_file": (name, content) for name, content in parts.items()}
    url = f"{server.url}/policy"
    return server.session.post(url, files=files, auth=(USER, PASSWORD), timeout=120)


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base_path = tmp_path_factory.mktemp("warm") / "instance"
    made = run_command("schema", "-", "--noclients", base_path=base_path, text=SCHEMA)
    assert made.returncode == 0, made.stdout + made.stderr
    return base_path


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    """A server that knows the family, and serves a policy of it with its golden cases."""
    (base_path.parent / "warm_app.py").write_text(APP)
    path = str(base_path.parent)
    with gunicorn(base_path, app="warm_app:app", PYTHONPATH=path) as server:
        parts = {"model": MODEL, "output_mapper": MAPPER, "description": DESCRIPTION}
        report = upload(server, **parts, golden=golden(TEMPERATURE))
        assert report.json()["state"] == "active", report.text
        checks = {check["name"]: check["detail"] for check in report.json()["checks"]}
        assert "read as warm logits" in checks["model"]
        assert "12 golden cases agree: probabilities to" in checks["golden cases"]
        yield server


def observations(count: int = 1) -> list[dict[str, Any]]:
    return [{"x": ROWS[0].tolist()}] * count


def assert_drawn_from(shares: NDArray[np.float64], actions: Sequence[int]) -> None:
    counted = Counter(actions)
    counts = [counted[action] for action in range(len(shares))]
    assert stats.chisquare(counts, shares * len(actions)).pvalue > SURE
    cold = expected(ROWS[0].tolist(), 1.0)
    assert stats.chisquare(counts, cold * len(actions)).pvalue < SURE  # not by another family


def test_the_version_says_which_family_decides(server: Server, base_path: Path) -> None:
    version = server.get("versions").json()["active"]
    model = base_path / "versions" / version / Part.MODEL
    assert NetworkDescription.read(model).family == "warm"


def test_one_observation_is_decided_on_by_its_own_row(server: Server) -> None:
    shares = expected(ROWS[0].tolist())
    (observation,) = observations()
    drawn = [server.post(f"predict?seed={seed}", observation).json() for seed in range(DRAWS)]
    assert_drawn_from(shares, [each["action"] for each in drawn])
    for each in drawn:
        assert each["probability"] == pytest.approx(shares[each["action"]], rel=1e-5)
        assert each["meaning"] == MEANINGS[each["action"]]


def test_a_batch_is_drawn_alike(server: Server) -> None:
    shares = expected(ROWS[0].tolist())
    body = {"observations": observations(DRAWS)}
    drawn = server.post("predict_batch?seed=3", body).json()["predictions"]
    assert_drawn_from(shares, [each["action"] for each in drawn])
    for each in drawn:
        assert each["probability"] == pytest.approx(shares[each["action"]], rel=1e-5)
    for seed in range(40):
        alone = server.post(f"predict?seed={seed}", body["observations"][0]).json()
        pair = {"observations": observations(2)}
        first = server.post(f"predict_batch?seed={seed}", pair).json()["predictions"][0]
        assert alone == {**first, "probability": pytest.approx(first["probability"], rel=1e-9)}


def test_its_distribution_and_its_mode_are_exact(server: Server) -> None:
    for row in ROWS.tolist():
        shares = expected(row)
        weighed = server.post("distribution", {"x": row}).json()
        (head,) = weighed["heads"]
        assert (head["actions"], head["meanings"]) == ([0, 1, 2, 3], MEANINGS)
        assert head["probabilities"] == pytest.approx(shares.tolist(), rel=1e-5)
        assert weighed["entropy"] == pytest.approx(stats.entropy(shares), rel=1e-5)
        mode = server.post("predict_deterministic", {"x": row}).json()
        best = int(shares.argmax())
        assert mode == {
            "action": best,
            "meaning": MEANINGS[best],
            "probability": pytest.approx(shares[best], rel=1e-5),
        }


def test_clients_see_the_specification_of_numbered_actions(server: Server) -> None:
    served = server.get("swagger.json").json()
    contract = check_specification(render_specification(Contract(read_schema(SCHEMA)), TEMPLATE))
    assert served["definitions"] == contract["definitions"]
    for operation in ("predict", "distribution"):
        name = {"predict": "Prediction", "distribution": "Distribution"}[operation]
        wanted = {"$ref": f"#/definitions/{name}", "definitions": served["definitions"]}
        Draft4Validator(wanted).validate(server.post(operation, observations()[0]).json())


def test_a_server_that_does_not_know_the_family_says_so(server: Server, base_path: Path) -> None:
    with gunicorn(base_path) as other:
        answer = other.get("health/ready")
        assert answer.status_code == 503
        assert "a family called `warm`, which is not known here" in other.log.read_text()
        assert other.post("predict", observations()[0]).status_code == 503


def test_golden_cases_of_another_temperature_are_refused(server: Server) -> None:
    parts = {"model": MODEL, "output_mapper": MAPPER, "description": DESCRIPTION}
    refused = upload(server, **parts, golden=golden(1.0))
    assert refused.status_code == 422
    # The hint knows the family that training had.
    assert "12 of 12 golden cases disagree" in refused.text
    assert "Write `reads: logits` into model.yaml" in refused.text


def test_a_model_that_says_nothing_is_asked_about_it_too(server: Server) -> None:
    asked = upload(server, model=MODEL, output_mapper=MAPPER)
    assert "`reads: warm_logits` (drawn by a softmax at temperature 2)" in asked.text
