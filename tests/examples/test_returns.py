"""The trained policies, played through HTTP, reach the returns that their READMEs state."""

import re
from typing import Any

import numpy as np
import pytest

from examples.evaluate import play
from examples.lpoc.train import TASK as LPOC
from examples.simple_stochastic_tuple.train import TASK as TUPLE
from examples.task import Observation, Task
from examples.thermostat.train import TASK as THERMOSTAT
from tests.support.server import ROOT, Server

EPISODES = 200
FIRST_SEED = 77_000_000
"""Neither the seeds of training nor those of the README's own episodes."""
ALONE = 20
"""Of the episodes, so many get their actions one by one, the others as a batch."""
DEVIATIONS = 3.3
"""Of the difference of two means: one run in a thousand would exceed this by chance."""


def stated(example: str, policy: str) -> tuple[float, float, int]:
    """Mean, standard deviation and episodes of a policy in a README's table."""
    text = (ROOT / "examples" / example / "README.md").read_text()
    row = re.search(rf"^\| {policy} \| (\S+) \| (\S+) \| (\d+) \|$", text, re.MULTILINE)
    assert row is not None
    return float(row[1]), float(row[2]), int(row[3])


@pytest.mark.parametrize(
    ("example", "task", "server_of", "action_of"),
    [
        ("lpoc", LPOC, "lpoc", "action"),
        ("simple_stochastic_tuple", TUPLE, "tuple", "actions"),
        ("thermostat", THERMOSTAT, "thermostat", "action"),
    ],
)
def test_the_stated_return_is_reached_through_http(
    example: str, task: Task, server_of: str, action_of: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"{server_of}_server")

    def ask(observations: list[Observation]) -> list[Any]:
        alone = [server.post("predict", observation) for observation in observations[:ALONE]]
        together = server.post("predict_batch", {"observations": observations[ALONE:]})
        assert {answer.status_code for answer in (*alone, together)} == {200}
        answers = [*(answer.json() for answer in alone), *together.json()["predictions"]]
        return [answer[action_of] for answer in answers]

    returns = play(task, ask, EPISODES, FIRST_SEED)
    mean, deviation, episodes = stated(example, "trained, sampled")
    error = np.sqrt(deviation**2 / episodes + np.var(returns, ddof=1) / EPISODES)
    assert abs(np.mean(returns) - mean) < DEVIATIONS * error
    random_mean, _, _ = stated(example, "random")
    assert np.mean(returns) > random_mean + DEVIATIONS * error
