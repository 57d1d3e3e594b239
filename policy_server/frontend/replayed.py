"""The steps of an episode decided anew by the active version, with memory where it has one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from policy_server.errors import RequestFailed
from policy_server.frontend.answers import Decision, read_decision
from policy_server.frontend.real_observations import RealObservation
from policy_server.frontend.refusals import Json
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch, largest_batch

Progress = Callable[[float], object]


@dataclass(frozen=True)
class Replayed:
    """What a version decides on the steps of an episode.

    Attributes:
        decisions: The most probable action of each step.
        version: That decided.
        has_memory: Each step was decided with what the policy carries from those before.
        versions: That decided each step, where these may differ.
    """

    decisions: tuple[Decision, ...]
    version: str
    has_memory: bool
    versions: tuple[str, ...] = ()

    def version_at(self, step: int) -> str:
        """The version that decided a step, counted from 1."""
        return self.versions[step - 1] if self.versions else self.version

    def differing(self, steps: Sequence[RealObservation]) -> list[int]:
        """The steps that are decided otherwise than recorded, counted from 1."""
        return [
            number
            for number, (real, decision) in enumerate(zip(steps, self.decisions, strict=True), 1)
            if real.recorded is not None and not real.recorded.is_same(decision)
        ]


def replay(service: Service, steps: Sequence[RealObservation], progress: Progress) -> Replayed:
    """Decide on each step of an episode, in order.

    Args:
        service: Is asked.
        steps: At least one.
        progress: Called with the share of the steps that are decided.

    Raises:
        RequestFailed: The server does not answer, or refuses.
        SchemaChanged: It has another schema now.
    """
    observations = [each.observation for each in steps]
    size = largest_batch(max(observations, key=lambda each: len(str(each))))
    try:
        decided = decide_batch(service.client, observations[:size])
    except RequestFailed as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
        return _step_by_step(service, steps, progress)  # the policy has a memory
    decisions = list(decided.decisions)
    for start in range(size, len(observations), size):
        progress(len(decisions) / len(observations))
        # The version that began decides on all steps.
        batch = observations[start : start + size]
        decisions += decide_batch(service.client, batch, decided.version).decisions
    progress(1.0)
    return Replayed(tuple(decisions), decided.version, has_memory=False)


def _step_by_step(
    service: Service, steps: Sequence[RealObservation], progress: Progress
) -> Replayed:
    decisions: list[Decision] = []
    memory: Json = {}
    version = ""
    for real in steps:
        body = {"observation": real.observation, **memory}
        answer = service.client.decide("step", body, query={"deterministic": "true"})
        decisions.append(read_decision(answer.document["prediction"]))
        memory = {"memory": answer.document["memory"]}
        version = answer.version  # the memory keeps to the one that began
        progress(len(decisions) / len(steps))
    return Replayed(tuple(decisions), version, has_memory=True)
