"""`python app.py` and `gunicorn app:app`: without a schema, and with each kind of action."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.server import ROOT, environment, free_port, gunicorn, run_command, running

LPOC_SCHEMA = ROOT / "examples" / "lpoc" / "schema.yaml"
KINDS = [
    ({}, {"action", "meaning", "probability"}),
    ({"TUPLE": "False"}, {"action", "meaning", "probability"}),
    ({"TUPLE": "True"}, {"actions", "meanings", "probability"}),
    ({"TUPLE": "yes", "DISCRETE_ACTIONS": "1"}, {"actions", "meanings", "probability"}),
    ({"DISCRETE_ACTIONS": "False"}, {"action", "actions", "density"}),
    ({"DISCRETE_ACTIONS": "off", "TUPLE": "on"}, {"actions", "density"}),
]


def prediction_fields(specification: Any) -> set[str]:
    return set(specification["definitions"]["Prediction"]["properties"])


def refusal(base_path: Path, program: str, *arguments: str, **settings: str) -> str:
    """What a server says that refuses to start."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *arguments],
        cwd=ROOT,
        env=environment(base_path, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def served_fields(command: str, base_path: Path, **settings: str) -> set[str]:
    """The fields of a prediction in the specification that a server serves."""
    if command == "gunicorn":
        with gunicorn(base_path, 1, **settings) as server:
            return prediction_fields(server.get("swagger.json").json())
    port = free_port()
    arguments = [sys.executable, "app.py", "--port", str(port)]
    with running(arguments, port, base_path, **settings) as server:
        return prediction_fields(server.get("swagger.json").json())


@pytest.mark.parametrize(("settings", "fields"), KINDS)
def test_the_kind_of_action_shapes_what_is_generated(
    tmp_path: Path, settings: dict[str, str], fields: set[str]
) -> None:
    done = run_command("schema", LPOC_SCHEMA, "--noclients", base_path=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    assert prediction_fields(yaml.safe_load((tmp_path / "swagger.yaml").read_text())) == fields


@pytest.mark.parametrize(
    ("command", "settings", "fields"),
    # Which server it is matters to where settings come from, not to what they are.
    [("gunicorn", *KINDS[kind]) for kind in (1, 2, 4)] + [("python app.py", *KINDS[4])],
)
def test_the_kind_of_action_shapes_what_is_served(
    tmp_path: Path, command: str, settings: dict[str, str], fields: set[str]
) -> None:
    """Asked for when the schema is made, and not again; and the other way round."""
    base_path = tmp_path / "made"
    run_command("schema", LPOC_SCHEMA, "--noclients", base_path=base_path, **settings)
    assert served_fields(command, base_path) == fields
    base_path = tmp_path / "served"
    other = {"TUPLE": "yes", "DISCRETE_ACTIONS": "yes"}
    run_command("schema", LPOC_SCHEMA, "--noclients", base_path=base_path, **other)
    settings = {"TUPLE": "False", "DISCRETE_ACTIONS": "True", **settings}
    assert served_fields(command, base_path, **settings) == fields


@pytest.mark.parametrize("command", [["python", "app.py"], ["gunicorn", "app:app", "-w", "4"]])
def test_without_a_schema_the_servers_say_what_to_do(tmp_path: Path, command: list[str]) -> None:
    told = refusal(tmp_path, *command, PORT=str(free_port()))
    assert "There is no schema yet." in told
    assert "python generate.py schema" in told


def test_all_bad_settings_are_listed_at_once(tmp_path: Path) -> None:
    settings = {"PORT": "http", "TUPLE": "perhaps", "POLICY_SERVER_API_KEYS": "short-secret"}
    told = refusal(tmp_path, "python", "app.py", **settings)
    assert "PORT: " in told
    assert "TUPLE: " in told
    assert "POLICY_SERVER_API_KEYS: " in told
    assert "short-secret" not in told


def test_a_version_of_another_contract_does_not_decide(lpoc_instance: Path) -> None:
    with gunicorn(lpoc_instance, DISCRETE_ACTIONS="False") as server:
        ready = server.get("health/ready", auth=None)
        assert ready.status_code == 503
        assert ready.headers["Retry-After"].isdigit()
        assert "python generate.py publish" in ready.json()["detail"]
        model = (ROOT / "examples/lpoc/saved_model.zip").read_bytes()
        answer = server.upload("model", "model_file", model)
        assert answer.status_code == 422
        assert "set DISCRETE_ACTIONS=True" in answer.json()["detail"]
        assert "python generate.py schema" in answer.json()["detail"]


def test_without_a_policy_asking_is_503(tmp_path: Path) -> None:
    run_command("schema", LPOC_SCHEMA, "--noclients", base_path=tmp_path / "instance")
    with gunicorn(tmp_path / "instance") as server:
        answer = server.post("predict_raw", {"obs": [1.0]})
        assert answer.status_code == 503
        assert "upload a model" in answer.json()["detail"]
        assert server.get("health/live", auth=None).status_code == 200
