"""Episodes over HTTP: what carries them is a text of the client's, whichever server is asked."""

import json
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from scipy import special

from policy_server.serving.memory_tokens import Episode, MemoryTokens
from tests.support.contracts import read_contracts
from tests.support.episodes import step_of
from tests.support.large_memory import FEATURES, leaky_onnx, leaky_steps
from tests.support.server import KEY, Server, gunicorn, publish, run_command
from tests.web.test_logs import logging_server

WIDTH = 5_000
"""Of the state: a memory of 27 kB is short, and some of them are long together."""
SCHEMA = f"""\
observations:
  x: {{type: "List[float]", min_items: {FEATURES}, max_items: {FEATURES}}}
"""
EPISODE = np.random.default_rng(3).uniform(-1, 1, (6, FEATURES)).astype(np.float32)
X = [0.5, -1.0, 2.0]
ROW = {"x": X}
SHARED_KEY = "a key that two servers share, of the tests"


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(leaky_onnx(WIDTH))
    return publish(folder, folder / "instance")


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    with logging_server(base_path, WEB_CONCURRENCY="2", DEBUG="on") as server:
        yield server


def step(server: Server, row: Sequence[float] = X, memory: str | None = None) -> dict[str, Any]:
    answer = server.post("step", step_of({"x": list(row)}, memory))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def agrees(prediction: dict[str, Any], logits: np.ndarray) -> None:
    likely = special.softmax(logits)[prediction["action"]]
    assert prediction["probability"] == pytest.approx(likely, abs=1e-5)


def test_episodes_alone_and_many_together_give_what_their_formulas_give(server: Server) -> None:
    expected = leaky_steps(EPISODE)
    alone: str | None = None
    together: list[str | None] = [None] * 8
    for row, logits in zip(EPISODE, expected, strict=True):
        answer = step(server, row.tolist(), alone)
        agrees(answer["prediction"], logits)
        alone = answer["memory"]
        steps = [step_of({"x": row.tolist()}, memory) for memory in together]
        found = server.post("step_batch", {"steps": steps}).json()["steps"]
        for each in found:
            agrees(each["prediction"], logits)
        together = [each["memory"] for each in found]
    assert alone is not None
    assert len(alone) < 4 / 3 * 4 * WIDTH + 200


def test_a_policy_with_memory_names_the_operation_that_asks_it(server: Server) -> None:
    for operation, body in (("predict", ROW), ("predict_raw", {"obs": ROW["x"]})):
        answer = server.post(operation, body)
        assert answer.status_code == 409
        assert answer.json()["title"] == "A policy with memory"
        assert "POST /api/step" in answer.json()["detail"]


def test_the_example_that_is_printed_asks_for_a_step(base_path: Path) -> None:
    done = run_command("example", base_path=base_path)
    assert done.stdout.endswith("/api/step\n")
    assert '{"observation": {"x": [' in done.stdout


def test_a_key_may_step_and_nobody_without(server: Server) -> None:
    options: dict[str, Any] = {"auth": None, "headers": {"X-API-Key": KEY}}
    assert server.post("step", step_of(ROW, None), **options).status_code == 200
    assert server.post("step", step_of(ROW, None), auth=None).status_code == 401


def problem(server: Server, memory: str) -> tuple[int, str]:
    """Status and title, which are the same for a step alone and for one among others."""
    alone = server.post("step", step_of(ROW, memory))
    body = {"steps": [step_of(ROW, None), step_of(ROW, memory)]}
    among = server.post("step_batch", body)
    for answer, pointer in ((alone, "/memory"), (among, "/steps/1/memory")):
        assert answer.headers["Content-Type"] == "application/problem+json"
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == pointer
        assert fault["detail"].endswith(("`memory`.", "all of it."))
    assert (alone.status_code, alone.json()["title"]) == (among.status_code, among.json()["title"])
    return alone.status_code, alone.json()["title"]


def test_each_memory_that_is_refused_has_its_own_problem(server: Server, base_path: Path) -> None:
    memory = step(server)["memory"]
    key = (base_path / "memory_key").read_bytes().strip()
    digest = read_contracts(base_path).served().digest
    tokens = MemoryTokens(key, digest, 60)
    state = bytes(4 * WIDTH)
    version = (base_path / "active").read_text().strip()
    known = Episode(version, 1, tokens.now(), bytes(16), state)
    found = {
        "genuine": server.post("step", step_of(ROW, tokens.write(known))).status_code,
        "cut": problem(server, memory[:-9]),
        "forged": problem(server, f"{memory[:-1]}{'A' if memory[-1] != 'A' else 'E'}"),
        "foreign": problem(server, MemoryTokens(key, digest[::-1], 60).write(known)),
        "expired": problem(server, tokens.write(known._replace(began=tokens.now() - 86_400))),
        "gone": problem(server, tokens.write(known._replace(version="7-gone"))),
    }
    assert found == {
        "genuine": 200,
        "cut": (400, "Memory is not whole"),
        "forged": (400, "Memory is not genuine"),
        "foreign": (409, "Memory of another contract"),
        "expired": (410, "Episode has expired"),
        "gone": (410, "Version of the episode is gone"),
    }


def test_the_key_is_made_once_and_is_its_owners(server: Server, base_path: Path) -> None:
    kept = base_path / "memory_key"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert len(kept.read_text().strip()) == 64
    memory = step(server)["memory"]
    before = kept.read_bytes()
    with gunicorn(base_path) as other:  # as after a restart
        assert step(other, memory=memory)["prediction"]
    assert kept.read_bytes() == before


def test_servers_that_share_a_key_share_episodes(tmp_path: Path, base_path: Path) -> None:
    """With folders of their own, as on machines of their own."""
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(leaky_onnx(WIDTH))
    other_path = publish(tmp_path, tmp_path / "instance")
    secret = tmp_path / "key"
    secret.write_text(f"{SHARED_KEY}\n")
    expected = leaky_steps(EPISODE)
    with (
        gunicorn(base_path, POLICY_SERVER_MEMORY_KEY=SHARED_KEY) as one,
        gunicorn(other_path, POLICY_SERVER_MEMORY_KEY_FILE=str(secret)) as other,
    ):
        memory = None
        for number, row in enumerate(EPISODE):
            answer = step((one, other)[number % 2], row.tolist(), memory)
            agrees(answer["prediction"], expected[number])
            memory = answer["memory"]
    assert not (other_path / "memory_key").exists()


def test_no_memory_is_logged(server: Server) -> None:
    memory = step(server)["memory"]
    for sent in (memory, memory[:-3], f"A{memory[1:]}"):
        server.post("step", step_of(ROW, sent))
        server.post("step_batch", {"steps": [step_of(ROW, sent)] * 4})
    server.post("step", {"observation": ROW, "memory": [memory]})
    server.post("step", {"observation": {"x": "no"}, "memory": memory})
    log = server.log.read_text()
    assert "/api/step" in log
    for start in range(0, 600, 30):
        assert memory[start : start + 30] not in log


def test_a_long_memory_beside_a_wrong_observation_is_explained_in_full(server: Server) -> None:
    memory = "m" * 100_000
    answer = server.post("step", {"observation": {"x": [1, 2, "3"], "y": 1}, "memory": memory})
    assert answer.status_code == 400
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    assert pointers == {"/observation/x/2", "/observation/y"}
    assert memory[:100] not in answer.text


def test_every_worker_answers_a_repeated_step_alike(server: Server) -> None:
    memory = step(server)["memory"]
    body = json.dumps(step_of(ROW, memory))
    answers = set()
    for _ in range(12):  # on connections of their own, so that both workers are asked
        answers.add(
            requests.post(
                f"{server.url}/step",
                data=body,
                headers={"Content-Type": "application/json", "X-API-Key": KEY},
                timeout=30,
            ).text
        )
    assert len(answers) == 1
