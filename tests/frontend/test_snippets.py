"""The code that the page shows to copy really runs, in every language."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.service import Service
from policy_server.frontend.snippets import KEY, PASSWORD, TOKEN, snippets
from tests.support import server
from tests.support.server import Server

COMMANDS = {
    "curl": ("sh", "decide.sh"),
    "Python": (sys.executable, "decide.py"),
    "Java": ("java", "Decide.java"),
    "R": ("Rscript", "decide.R"),
}
SEED = 11


def run(name: str, code: str, folder: Path) -> dict[str, object]:
    program, file = COMMANDS[name]
    (folder / file).write_text(code)
    secrets = {PASSWORD: server.PASSWORD, KEY: server.KEY, TOKEN: server.KEY}
    done = subprocess.run(
        [program, file],
        cwd=folder,
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = (
        eval(done.stdout) if name == "Python" else json.loads(done.stdout)  # printed as Python does
    )
    return answer


@pytest.mark.parametrize("name", COMMANDS)
def test_a_snippet_gets_the_decision_that_the_page_gets(
    name: str, lpoc_service: Service, tmp_path: Path
) -> None:
    observation = lpoc_service.example()
    wanted = lpoc_service.client.post("predict", observation, seed=SEED)
    code = snippets(lpoc_service.client, "predict", observation, SEED)[name]
    assert server.PASSWORD not in code
    assert run(name, code, tmp_path) == wanted


@pytest.mark.parametrize("kind", ["key", "token"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_snippet_for_a_key_or_a_token_sends_it(
    name: str, kind: str, lpoc_server: Server, lpoc_service: Service, tmp_path: Path
) -> None:
    client = Client(lpoc_server.url, Credentials(**{kind: server.KEY}))
    observation = lpoc_service.example()
    wanted = client.post("predict_deterministic", observation)
    code = snippets(client, "predict_deterministic", observation, None)[name]
    assert server.KEY not in code
    assert run(name, code, tmp_path) == wanted


def test_the_json_is_the_observation(lpoc_service: Service) -> None:
    observation = lpoc_service.example()
    code = snippets(lpoc_service.client, "predict", observation, None)["JSON"]
    assert json.loads(code) == observation
