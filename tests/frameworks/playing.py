"""Plays the recorded episodes again, in real environments, by decisions that come over HTTP.

All episodes of a case go on together: what they observe is one request.
"""

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.serving.policy_folder import open_policy_folder
from policy_server.web.remote import password_of, publish_to
from tests.frameworks.cases import HERE, Case
from tests.frameworks.recording import EPISODES, FIRST_SEED, make
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish

TOLERANCE = 1e-4
RETURN_TOLERANCE = 1e-3
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(180)
"""Of sums that stand for the mean of a function of a normal number."""


@dataclass(frozen=True)
class Recorded:
    """What the framework itself decided.

    Attributes:
        lengths: int[E], steps of each episode.
        returns: float[E].
        arrays: By name, [N, ...]: the actions and the distributions of all steps.
    """

    lengths: NDArray[Any]
    returns: NDArray[Any]
    arrays: Mapping[str, NDArray[Any]]

    @classmethod
    def of(cls, folder: Path) -> "Recorded":
        """Read `recorded.npz`."""
        with np.load(folder / "recorded.npz") as file:
            arrays = dict(file)
        return cls(arrays.pop("lengths"), arrays.pop("returns"), arrays)

    def at(self, episode: int, step: int) -> dict[str, NDArray[Any]]:
        """What was decided at a step of an episode."""
        row = int(self.lengths[:episode].sum()) + step
        return {name: array[row] for name, array in self.arrays.items()}


@contextlib.contextmanager
def served(case: Case, folder: Path) -> Iterator[Server]:
    """A server for any number of cases, one after the other: each brings its schema along.

    Args:
        case: The first one.
        folder: Holds what the server keeps.
    """
    with gunicorn(publish(case.folder / "policy", folder / "instance")) as server:
        yield server


def publish_case(case: Case, server: Server) -> None:
    """Publish a case to a server that runs."""
    with open_policy_folder(case.folder / "policy") as bundle:
        publish_to(server.url, bundle, password_of(USER, PASSWORD))


class Client:
    """What a client of one case sends and does: without the kit, by what the schema says."""

    def __init__(self, case: Case, env: Any) -> None:
        names = case.options[case.options.index("--names") + 1] if "--names" in case.options else ""
        self.names = names.split(",") if names else []
        self.env = env

    def sent(self, observation: Any) -> dict[str, Any]:
        """An observation as JSON."""
        if self.names:
            return dict(zip(self.names, observation.tolist(), strict=True))
        if not isinstance(observation, dict):
            return {"observation": np.asarray(observation).tolist()}
        seen = {name: np.asarray(value) for name, value in observation.items()}
        body = {
            name: value.astype(bool).tolist() if value.dtype == np.int8 else value.tolist()
            for name, value in seen.items()
        }
        if getattr(self.env.unwrapped, "masked", False):
            body["action_mask"] = self.env.unwrapped.action_masks().tolist()
        return body

    def applied(self, prediction: Mapping[str, Any]) -> Any:
        """The action that the environment takes of an answer."""
        values = list(prediction["values"].values())
        space = self.env.action_space
        if not space.shape:
            return prediction["action"]
        return np.array(values[0] if isinstance(values[0], list) else values, space.dtype)


@dataclass
class Game:
    """An episode that goes on.

    Attributes:
        number: Of the episode.
        env: Its environment.
        client: Words what it observes.
        seen: What it observed last.
        memory: What the server answered last, of a policy with memory.
        total: Sum of the rewards.
        over: It has ended.
    """

    number: int
    env: Any
    client: Client
    seen: Any
    memory: str | None = None
    total: float = 0.0
    over: bool = False

    def step(self, action: Any) -> None:
        """Apply an action."""
        self.seen, reward, terminated, truncated, _ = self.env.step(action)
        self.total += float(reward)
        self.over = bool(terminated or truncated)


def begin(case: Case) -> list[Game]:
    """All episodes of a case at their beginning."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))  # as where it was trained, `environments` lies beside
    games = []
    for number in range(EPISODES):
        env = make(case.env, dict(case.env_options))
        seen, _ = env.reset(seed=FIRST_SEED + number)
        games.append(Game(number, env, Client(case, env), seen))
    return games


def play(server: Server, case: Case, every_distribution: bool = False) -> Iterator[str]:
    """Play all episodes; every difference from what was recorded is told.

    Args:
        server: Serves the case.
        case: Whose episodes they are.
        every_distribution: Ask for the whole distribution at each step, not at the first of each
            episode alone. The probability of the action is compared at each step in any case.
    """
    recorded = Recorded.of(case.folder)
    games = begin(case)
    going, step = games, 0
    while going:
        bodies = [game.client.sent(game.seen) for game in going]
        answers = go_on(server, going, bodies) if case.memory else decide(server, bodies)
        for game, body, answer in zip(going, bodies, answers, strict=True):
            if step >= recorded.lengths[game.number]:
                yield f"episode {game.number} goes on after {step} steps."
                game.over = True
                continue
            distribution = None
            if not case.memory and (step == 0 or every_distribution):
                distribution = server.post("distribution", body).json()
            action = game.client.applied(answer)
            expected = recorded.at(game.number, step)
            for fault in differences(action, answer, distribution, expected):
                yield f"episode {game.number}, step {step}: {fault}"
            game.step(action)
            if game.over and step + 1 < recorded.lengths[game.number]:
                yield f"episode {game.number} ends after {step + 1} steps."
        going, step = [game for game in going if not game.over], step + 1
    for game, total in zip(games, recorded.returns, strict=True):
        if not close(game.total, total, RETURN_TOLERANCE):
            yield f"episode {game.number} returns {game.total}, and {total} in training."


def decide(server: Server, bodies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The most probable actions for observations."""
    answer = server.post("predict_batch?deterministic=true", {"observations": bodies})
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions


def go_on(
    server: Server, games: Sequence[Game], bodies: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The most probable actions for steps of episodes, whose memories go along."""
    steps = [
        {"observation": body} | ({} if game.memory is None else {"memory": game.memory})
        for game, body in zip(games, bodies, strict=True)
    ]
    answer = server.post("step_batch?deterministic=true", {"steps": steps})
    assert answer.status_code == 200, answer.text
    after = answer.json()["steps"]
    for game, each in zip(games, after, strict=True):
        game.memory = each["memory"]
    return [each["prediction"] for each in after]


def differences(
    action: Any, answer: Mapping[str, Any], distribution: Any, expected: Mapping[str, NDArray[Any]]
) -> Iterator[str]:
    """What of a decision is not as the framework had it."""
    if not close(action, expected["actions"]):
        yield f"action {action} against {expected['actions']}"
    of_mode = probability_of_mode(expected, answer)
    stated = answer.get("probability", answer.get("density"))
    if of_mode is not None and not close(stated, of_mode, 1e-3):
        yield f"probability or density {stated} against {of_mode}"
    if distribution is None:
        return
    for what, found, wanted in compared(distribution, expected):
        if not close(found, wanted):
            yield f"{what} {found} against {wanted}"


def probability_of_mode(expected: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
    """Probability of the most probable action, or density at the mean."""
    if "probabilities" in expected:
        numbers = answer.get("actions", [answer.get("action")])
        if len(numbers) == 1:
            return expected["probabilities"].max()
        return None  # of each head: see `compared`
    if "means" in expected:
        return np.prod(1 / (np.sqrt(2 * np.pi) * expected["deviations"].astype(float)))
    if "squashed_means" in expected:
        deviations = expected["squashed_deviations"].astype(float)
        stretched = 1 - np.tanh(expected["squashed_means"].astype(float)) ** 2
        return np.prod(1 / (np.sqrt(2 * np.pi) * deviations * stretched))
    return 1.0 if "probability" in answer else None


def compared(distribution: Any, expected: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What an answer to /distribution states, and what the framework has in its place."""
    heads = distribution.get("heads", [])
    found = [number for head in heads for number in head["probabilities"]]
    means = [each["mean"] for each in distribution.get("dimensions", [])]
    deviations = [each["standard_deviation"] for each in distribution.get("dimensions", [])]
    if "probabilities" in expected:
        yield "probabilities", found, expected["probabilities"]
    elif "means" in expected:
        yield "means", means, expected["means"]
        yield "standard deviations", deviations, expected["deviations"]
    elif "squashed_means" in expected:
        mean, deviation = expected["squashed_means"], expected["squashed_deviations"]
        drawn = np.tanh(mean[:, None].astype(float) + deviation[:, None] * NODES)
        weights = WEIGHTS / WEIGHTS.sum()
        expected_means = drawn @ weights
        yield "means", means, expected_means
        yield "standard deviations", deviations, np.sqrt(drawn**2 @ weights - expected_means**2)
    elif heads:
        yield "probabilities", sorted(found)[-len(heads) :], np.ones(len(heads))
    else:
        yield "standard deviations", deviations, np.zeros(len(deviations))


def close(found: Any, wanted: Any, tolerance: float = TOLERANCE) -> bool:
    """Equal to a tolerance, which is relative for numbers above 1."""
    first, second = np.asarray(found, float).ravel(), np.asarray(wanted, float).ravel()
    return first.shape == second.shape and np.allclose(first, second, tolerance, tolerance)
