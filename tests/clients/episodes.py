"""Episodes of the SDKs: the steps that they take, and what the server itself answers to these."""

import json
from typing import Any

from tests.clients.asking import observations, own_answer, step
from tests.clients.conftest import Service, Step

EPISODES = {"one": 1, "other": 2}
"""Episode -> the seed of its first step; what is drawn later follows from its memory."""
SHARED_COUNT = 6
"""Steps of one episode that are taken at the same time."""
LOST = 4
"""Answers that do not come."""


def decide(episode: str, observation: Any, client: str = "user", **more: Any) -> Step:
    return step("decide", client, episode=episode, observation=observation, **more)


def taking_turns(service: Service) -> list[Step]:
    """Two episodes in turns; what remembers one of them goes on from there with another client."""
    first, second, third, fourth, *later = observations(service)[:7]
    steps = [decide(name, first, seed=seed) for name, seed in EPISODES.items()]
    steps += [decide(name, each) for each in (second, third) for name in EPISODES]
    steps += [decide(name, fourth, deterministic=True) for name in EPISODES]
    steps += [decide("resumed", each, "key", of="one") for each in later]
    return steps + [decide("one", each) for each in later]


def shared(service: Service) -> list[Step]:
    """One episode whose later steps are taken at the same time."""
    first, observation, *_ = observations(service)
    at_once = {**decide("shared", observation, count=SHARED_COUNT), "do": "decide_at_once"}
    return [decide("shared", first, seed=3), at_once]


def one_by_one(steps: list[Step]) -> list[Step]:
    """The same steps, none of them at the same time."""
    return [{**each, "do": "decide"} for each in steps for _ in range(each.get("count", 1))]


def taken_again(service: Service, client: str) -> list[Step]:
    """Each step twice, for a client that hears nothing of the first time."""
    first, *given = observations(service)[:LOST]
    steps = [
        decide("lossy", first, client, seed=4),
        *(decide("lossy", each, client) for each in given),
    ]
    return [each for each in steps for _ in range(2)]


def refused_between(service: Service, wrong: Any) -> list[Step]:
    """Steps of which the second one is refused."""
    first, _, then, *_ = observations(service)
    given = [decide("patient", each) for each in (first, wrong, then)]
    return [{**given[0], "seed": 5}, *given[1:]]


def forged(service: Service) -> list[Step]:
    """A memory of the server's, changed in one place."""
    observation = service.schema.example()
    memory = own_answer(service, "step", {"observation": observation})["memory"]
    changed = ("B" if memory[0] == "A" else "A") + memory[1:]
    return [decide("forged", observation, memory=changed)]


def own_decisions(service: Service, steps: list[Step]) -> list[Any]:
    """What the server answers to steps of episodes, without any SDK."""
    memories: dict[str, str] = {}
    decided = []
    for each in steps:
        name = each["episode"]
        query = {word: json.dumps(each[word]) for word in ("seed", "deterministic") if word in each}
        memory = memories.get(name, memories.get(each.get("of", "")))
        answer = own_answer(
            service, "step", {"observation": each["observation"], "memory": memory}, **query
        )
        memories[name] = answer["memory"]
        decided.append(answer["prediction"])
    return decided
