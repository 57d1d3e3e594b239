"""A schema that says below which path the API lies."""

from pathlib import Path

import pytest

from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaError
from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, gunicorn, publish

SCHEMA = "observations: {{x: {{type: float}}}}\nparameters: {{url_path: {path}}}\n"
OBSERVATION = {"x": 0.5}


@pytest.mark.parametrize("fast_path", ["on", "off"])
def test_the_api_answers_there_and_below_api(tmp_path: Path, fast_path: str) -> None:
    (tmp_path / "schema.yaml").write_text(SCHEMA.format(path="app/v1"))
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(1, 3))
    base_path = publish(tmp_path, tmp_path / "instance")
    with gunicorn(base_path, POLICY_SERVER_FAST_PATH=fast_path) as server:
        site, session = server.url.removesuffix("/api"), server.session
        assert session.get(f"{site}/", timeout=10).url == f"{site}/app/v1/ui/"
        there = f"{site}/app/v1/predict"
        assert session.post(there, json=OBSERVATION, timeout=10).status_code == 401
        answers = [
            session.post(f"{url}?seed=1", json=OBSERVATION, auth=(USER, PASSWORD), timeout=10)
            for url in (there, f"{server.url}/predict")
        ]
        assert answers[0].status_code == 200
        assert answers[0].json() == answers[1].json()
        for path in ("app/v1", "api"):
            spec = session.get(f"{site}/{path}/swagger.json", timeout=10).json()
            assert spec["basePath"] == "/app/v1"
            assert session.get(f"{site}/{path}/health/ready", timeout=10).status_code == 200
        for odd in ("app/predict", "apis/predict", "v1/predict", "api/app/v1/predict", "%61pi/x"):
            refused = session.post(
                f"{site}/{odd}", json=OBSERVATION, auth=(USER, PASSWORD), timeout=10
            )
            assert refused.status_code == 404, odd


@pytest.mark.parametrize("path", ["/app/v1/", "app/v1", "'/app/v1'"])
def test_slashes_at_its_ends_do_not_count(path: str) -> None:
    assert read_schema(SCHEMA.format(path=path)).url_path == "app/v1"


@pytest.mark.parametrize("path", ["''", "/"])
def test_an_empty_one_says_nothing(path: str) -> None:
    assert read_schema(SCHEMA.format(path=path)).url_path is None


@pytest.mark.parametrize("path", ["a b", "a//b", "../a", "a?b", "[a]", "ä", "a/{b}", "a" * 101])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(SchemaError, match="`url_path` is a path such as"):
        read_schema(SCHEMA.format(path=f'"{path}"' if path != "[a]" else path))
