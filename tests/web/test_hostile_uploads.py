"""Bad uploads: each is a 422 that names the fault, and what was active stays active."""

import base64
import io
import shutil
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy_server.contract.reading import read_schema
from tests.support.server import KEY, ROOT, Server, gunicorn

LPOC = ROOT / "examples" / "lpoc"
EXAMPLE = read_schema((LPOC / "schema.yaml").read_text()).example()
MODEL = (LPOC / "saved_model.zip").read_bytes()
OPERATIONS = {
    "model": "model_file",
    "preprocessor": "preprocessor_file",
    "outputmapper": "output_mapper_file",
}


@pytest.fixture(scope="module")
def server(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    base_path = tmp_path_factory.mktemp("uploads") / "instance"
    shutil.copytree(published_lpoc, base_path)
    with gunicorn(base_path, POLICY_SERVER_PREPROCESSOR_SECONDS="3") as running:
        yield running


def zipped(*members: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def symlinked() -> bytes:
    link = zipfile.ZipInfo("variables")
    link.external_attr = 0o120777 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(link, "/etc")
        archive.writestr("saved_model.pb", b"x")
    return packed.getvalue()


def lying_bomb() -> bytes:
    """A member of 50 MB of zeros whose headers say that it has ten bytes."""
    packed = bytearray(zipped(("saved_model.pb", bytes(50_000_000))))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = packed.index(signature) + offset
        packed[start : start + 4] = struct.pack("<I", 10)
    return bytes(packed)


@pytest.mark.parametrize(
    ("operation", "content", "detail"),
    [
        ("model", b"not a model at all", "not a sound ONNX file"),
        ("model", b"\x80\x04\x95pickle", "pickle"),
        ("model", MODEL[: len(MODEL) // 2], "not a sound zip"),
        ("model", MODEL[:-10], "not a sound zip"),
        ("model", zipped(("readme.txt", b"nothing")), "saved_model.pb"),
        ("model", zipped(("saved_model.pb", b"garbage")), "TensorFlow cannot load it"),
        ("model", zipped(("../saved_model.pb", b"x")), "points out of its folder"),
        ("model", zipped(("/saved_model.pb", b"x")), "points out of its folder"),
        ("model", zipped(("saved_model.pb", bytes(200_000_000))), "times its size"),
        ("model", lying_bomb(), "zip"),
        ("model", symlinked(), "symbolic link"),
        ("preprocessor", b"def preprocess(o):\n    return 1 / 0", "ZeroDivisionError"),
        ("preprocessor", b"def preprocess(o):\n    return [1.0]", "takes 39"),
        ("preprocessor", b"def preprocess(o):\n    return ['1'] * 39", "must return numbers"),
        ("preprocessor", b"def preprocess(o):\n    return [float('nan')] * 39", "nan"),
        ("preprocessor", b"def preprocess(o):\n    return None", "must return numbers"),
        ("preprocessor", b"def preprocess(o):\n    while True: pass", "within 3 seconds"),
        ("preprocessor", b"while True: pass", "within 3 seconds"),
        ("preprocessor", b"import os; os._exit(7)", "exit code 7"),
        ("preprocessor", b"import os; os.kill(os.getpid(), 9)", "signal 9"),
        ("preprocessor", b"def preprocess(o:", "SyntaxError"),
        ("preprocessor", b"import no_such_module", "ModuleNotFoundError"),
        ("preprocessor", b"\xff\xfe\x00", "does not load"),
        ("preprocessor", b"x = 1", "no function `preprocess"),
        ("outputmapper", b"0: a\n1: b\n", "2, 3, 4"),
        ("outputmapper", b"just text", "mapping"),
        ("outputmapper", b"- 1\n- 2\n", "mapping"),
        ("outputmapper", b"a: [", "not YAML"),
        ("outputmapper", b"\xff\xfe\xfd", "not YAML"),
        ("outputmapper", b"0: a\n0: b\n", "second time"),
        ("outputmapper", b"left: a\n", "`left`"),
        ("outputmapper", b"- {0: a, 1: b, 2: c, 3: d, 4: e}\n- {0: x}\n", "2 heads"),
    ],
    # Archives are long, and of another second each time.
    ids=lambda value: f"{len(value)}-bytes" if isinstance(value, bytes) else value,
)
def test_a_part_that_can_never_serve_changes_nothing(
    server: Server, operation: str, content: bytes, detail: str
) -> None:
    before = server.get("health/ready").json()
    answer = server.upload(operation, OPERATIONS[operation], content)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert detail in answer.json()["detail"]
    assert "Traceback" not in answer.text
    assert server.get("health/ready").json() == before
    assert server.post("predict", EXAMPLE).status_code == 200


def test_an_upload_above_the_limit_is_413(lpoc_instance: Path) -> None:
    with gunicorn(lpoc_instance, POLICY_SERVER_UPLOAD_MEGABYTES="1") as server:
        answer = server.upload("model", "model_file", bytes(1_100_000))
        assert answer.status_code == 413
        assert "1 MB" in answer.json()["detail"]


def test_a_key_may_ask_but_not_replace(server: Server) -> None:
    for operation, field in OPERATIONS.items():
        answer = server.upload(operation, field, b"x", auth=None, headers={"X-API-Key": KEY})
        assert answer.status_code == 403
        assert "manage" in answer.json()["detail"]


FAILS_LATER = b"""
makes = preprocess

def preprocess(observation):
    rare = observation["coordinates"] + observation["target"] == [0, 6, 6, 1]
    if rare and observation["id"] == 9:
        raise ValueError("the secret of observation nine")
    return makes(observation)
"""


def test_uploaded_code_that_fails_at_run_time_is_a_500_of_its_own(lpoc_instance: Path) -> None:
    failing = {**(EXAMPLE or {}), "id": 9, "coordinates": [0, 6], "target": [6, 1]}
    code = (LPOC / "preprocessor.py").read_bytes() + FAILS_LATER
    with gunicorn(lpoc_instance) as server:
        report = server.upload("preprocessor", "preprocessor_file", code).json()
        assert report["state"] == "active", report
        by_manager = server.post("predict", failing)
        assert by_manager.status_code == 500
        assert by_manager.json()["title"] == "Preprocessor failed"
        assert "ValueError: the secret of observation nine" in by_manager.json()["detail"]
        by_key = server.post("predict", failing, auth=None, headers={"X-API-Key": KEY})
        assert by_key.status_code == 500
        assert "secret" not in by_key.text
        assert "Traceback" not in by_manager.text + by_key.text
        assert server.post("predict", EXAMPLE).status_code == 200
        log = server.log.read_text()
        assert by_key.json()["instance"] in log
        assert "preprocessor.py" in log


def test_the_password_is_no_argument_of_a_problem(server: Server) -> None:
    """A wrong password is not repeated to whoever sent it, nor written to the log."""
    token = base64.b64encode(b"tester:my other password").decode()
    answer = server.post("predict", EXAMPLE, auth=None, headers={"Authorization": f"Basic {token}"})
    assert answer.status_code == 401
    for text in (answer.text, server.log.read_text()):
        assert "my other password" not in text
        assert token not in text


def test_reports_say_what_was_checked(lpoc_instance: Path) -> None:
    with gunicorn(lpoc_instance) as server:
        content = (LPOC / "output_mapper.yaml").read_bytes() + b"# as before\n"
        report: Any = server.upload("outputmapper", "output_mapper_file", content).json()
    assert report.get("state") == "active", report
    assert report["version"].startswith("2-")
    assert all(check["passed"] for check in report["checks"])
    assert {"model", "engine", "width", "meanings"} <= {c["name"] for c in report["checks"]}
