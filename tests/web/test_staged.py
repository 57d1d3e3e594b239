"""An upload with `activate=false` changes nothing that decides; activation does."""

from pathlib import Path

import requests

from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, gunicorn, publish

SCHEMA = "observations:\n  speed: {type: float, minimum: 0, maximum: 9}\n"
OTHER_SCHEMA = SCHEMA.replace("speed", "weight")


def test_a_staged_version_decides_once_it_is_activated(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(1, 2))
    with gunicorn(publish(tmp_path, tmp_path / "instance")) as server:
        first = server.get("versions").json()["active"]
        model = linear_onnx(1, 2, seed=1)
        for _ in range(2):  # the second finds the version of the first
            staged = server.upload("model?activate=false", "model_file", model).json()
            assert staged["state"] == "complete"
            assert all(check["passed"] for check in staged["checks"])
        again = server.upload("model?activate=false", "model_file", linear_onnx(1, 2)).json()
        assert (again["version"], again["state"]) == (first, "active")
        files = {
            "model_file": ("policy.onnx", linear_onnx(1, 2, seed=2)),
            "schema_file": ("schema.yaml", OTHER_SCHEMA.encode()),
        }
        address = f"{server.url}/policy?activate=false"
        bundle = requests.post(address, files=files, auth=(USER, PASSWORD), timeout=120).json()
        assert bundle["state"] == "complete"
        assert "speed" in server.get("schema").text
        assert server.get("health/ready").json()["version"] == first
        for version, field in ((staged["version"], "speed"), (bundle["version"], "weight")):
            report = server.post(f"versions/{version}/activate", None).json()
            assert report["state"] == "active"
            assert field in server.get("schema").text
            assert server.post("predict", {field: 1}).headers["X-Policy-Version"] == version
