"""An episode that is played here: each step is asked of the server and kept, whatever follows."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend.answers import Decision, read_decision
from policy_server.frontend.episode_files import MAX_STEPS, Episode
from policy_server.frontend.real_observations import RealObservation, Recorded
from policy_server.frontend.replayed import Replayed
from policy_server.frontend.service import Service
from policy_server.frontend.stages import Stage

STEP, PREDICT = "step", "predict"
HERE = "played here"
"""Where the observations of such an episode come from, in words."""


@dataclass(frozen=True)
class Asking:
    """How the steps of an episode are asked for.

    Attributes:
        operation: STEP, with a memory from step to step, or PREDICT, without.
        drawn: By chance, instead of the most probable action.
        seed: Of chance; None leaves it to the server.
    """

    operation: str = STEP
    drawn: bool = False
    seed: int | None = None

    def query(self, done: int) -> dict[str, object]:
        """What goes into the query of a step, after so many."""
        if not self.drawn:
            return {"deterministic": "true"} if self.operation == STEP else {}
        if self.seed is None:
            return {}
        # Without a memory, the same seed would draw alike at each step.
        return {"seed": self.seed if self.operation == STEP else self.seed + done}

    @property
    def words(self) -> str:
        """In a few words."""
        how = "most probable action"
        if self.drawn:
            how = "drawn" if self.seed is None else f"drawn with seed {self.seed}"
        return f"/{self.operation}, {how}"


class Rollout:
    """An episode in the environment of an example.

    Args:
        stage: The environment.
        seed: It begins from.

    Attributes:
        observation: That is to be decided on next.
        scene: What can be seen then.
        ended: There is no further step.
    """

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage, self.seed = stage, seed
        self.observation = stage.reset(seed)
        self.scene = stage.scene()
        self.ended = False

    def act(self, actions: Sequence[float]) -> float:
        """Do what was decided, and return the reward; raises ValueError as the environment does."""
        self.observation, reward, self.ended = self.stage.step(actions)
        self.scene = self.stage.scene()
        return reward


@dataclass(frozen=True)
class PlayedStep:
    """A step of an episode that was played here.

    Attributes:
        version: That decided it.
        reward: Of the environment, or as somebody has typed it; None where nobody has.
        scene: What could be seen before it; None likewise.
    """

    observation: Observation
    decision: Decision
    version: str
    reward: float | None = None
    scene: Any = None


@dataclass(frozen=True)
class Played:
    """An episode that is played here, as far as it has come.

    Attributes:
        name: As the page calls it.
        asking: How its steps are asked for.
        schema: Hash of the schema that it was begun with.
        fields: Names of that schema's fields.
        rollout: The environment in which it is played; None where observations are given by hand.
        memory: What the server gave along with the last step; None before, and without memory.
    """

    name: str
    asking: Asking
    schema: str
    fields: tuple[str, ...]
    rollout: Rollout | None = field(default=None, compare=False)
    steps: tuple[PlayedStep, ...] = ()
    memory: str | None = None

    @property
    def ended(self) -> bool:
        """There is no further step."""
        over = self.rollout is not None and self.rollout.ended
        return over or len(self.steps) >= MAX_STEPS

    @property
    def reward(self) -> float:
        """The sum of all rewards."""
        return sum(each.reward or 0.0 for each in self.steps)

    def rated(self, step: int, reward: float | None) -> "Played":
        """It with another reward of a step, counted from 1."""
        steps = [*self.steps]
        steps[step - 1] = replace(steps[step - 1], reward=reward)
        return replace(self, steps=tuple(steps))

    @property
    def episode(self) -> Episode:
        """It as one that was recorded."""
        return Episode(self.name, tuple(self._real()))

    @property
    def replayed(self) -> Replayed:
        """What was decided on its steps."""
        return Replayed(
            tuple(each.decision for each in self.steps),
            self.steps[-1].version,
            has_memory=False,
            versions=tuple(each.version for each in self.steps),
        )

    def _real(self) -> Iterator[RealObservation]:
        for step in self.steps:
            recorded = None if self.asking.drawn else Recorded(step.decision.actions)
            yield RealObservation(step.observation, HERE, recorded, self.name, step.reward)


def ask(service: Service, played: Played, observation: Observation) -> Played:
    """The episode with one more step, on an observation.

    Raises:
        RequestFailed: The server does not answer, or refuses: the memory may be of a version that
            is gone.
        SchemaChanged: It has another schema now.
    """
    kept = copy.deepcopy(observation)  # the form may change lists in place
    asking, memory = played.asking, played.memory
    query = asking.query(len(played.steps))
    if asking.operation == STEP:
        body = {"observation": kept} | ({} if memory is None else {"memory": memory})
        answer = service.client.decide(STEP, body, query=query)
    else:
        operation = PREDICT if asking.drawn else "predict_deterministic"
        answer = service.client.decide(operation, kept, query=query)
    try:
        prediction = answer.document
        if asking.operation == STEP:
            prediction, memory = answer.document["prediction"], str(answer.document["memory"])
        step = PlayedStep(kept, read_decision(prediction), answer.version)
    except (KeyError, TypeError, AttributeError) as error:
        raise RequestFailed(
            f"{service.client.url} answers, but not as a policy server does."
        ) from error
    return replace(played, steps=(*played.steps, step), memory=memory)


def act(service: Service, played: Played) -> Played:
    """The episode with one more step, in its environment.

    Raises:
        ValueError: The environment has no such action as was decided.
        RequestFailed: As `ask`; the environment is as it was before.
        SchemaChanged: As `ask`.
    """
    rollout = played.rollout
    assert rollout is not None, "the episode has an environment"
    scene = rollout.scene
    following = ask(service, played, rollout.observation)
    last = following.steps[-1]
    reward = rollout.act(last.decision.actions)
    return replace(following, steps=(*played.steps, replace(last, reward=reward, scene=scene)))


def versions_in_words(steps: Sequence[PlayedStep]) -> str:
    """Which version decided which of the steps; at least one."""
    found = versions_of(steps)
    if len(found) == 1:
        return f"Decided by version {found[0][0]}."
    told = (
        f"version {version} {f'steps {first} to {last}' if last > first else f'step {first}'}"
        for version, first, last in found
    )
    return f"The version changed in the middle: {', '.join(told)}."


def versions_of(steps: Sequence[PlayedStep]) -> list[tuple[str, int, int]]:
    """Which version decided from which step to which, counted from 1."""
    found: list[tuple[str, int, int]] = []
    for number, step in enumerate(steps, 1):
        if found and found[-1][0] == step.version:
            found[-1] = (step.version, found[-1][1], number)
        else:
            found.append((step.version, number, number))
    return found
