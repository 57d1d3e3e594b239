"""POLICY_SERVER_MODEL_NAME; `tests/deploy/test_kubernetes.py` asks for a model by another name."""

from pathlib import Path

import pytest

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError


def model_of(folder: Path, name: str) -> str:
    variables = {"BASE_PATH": str(folder), "POLICY_SERVER_MODEL_NAME": name}
    return read_settings(environment=variables, dotenv_path=folder / ".env").surroundings.model


@pytest.mark.parametrize("name", ["robot", "robot-7.arm_left", "R"])
def test_what_needs_no_escape_in_a_path_is_a_name(tmp_path: Path, name: str) -> None:
    assert model_of(tmp_path, name) == name


def test_without_one_it_is_the_default(tmp_path: Path) -> None:
    assert model_of(tmp_path, "") == "default"


@pytest.mark.parametrize("name", ["a/b", "..", "-x", "a:predict", "wärme", "a b", "x" * 254])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_MODEL_NAME: is a name of letters"):
        model_of(tmp_path, name)
