"""What is asked of the SDKs of every engine, and what the server itself answers to that."""

from collections.abc import Mapping
from typing import Any

from policy_server.contract.samples import random_observations
from tests.clients.conftest import Results, Service, Step

COUNT, FEW = 100, 10
VERSION = "policy_version"


def observations(service: Service) -> list[dict[str, Any]]:
    return list(random_observations(service.schema, COUNT, seed=5))


def own_answer(service: Service, operation: str, body: object, **query: int) -> Any:
    answer = service.server.post(operation, body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def step(asked: str, client: str = "user", **more: Any) -> Step:
    return {"do": asked, "client": client, **more}


def predict_steps(service: Service) -> dict[str, list[Step]]:
    """The part of the suite that asks for decisions, by name."""
    given = observations(service)
    return {
        "predict": [step("predict", observation=each, seed=i) for i, each in enumerate(given)],
        "deterministic": [step("predict_deterministic", observation=each) for each in given[:FEW]],
        "distribution": [step("distribution", observation=each) for each in given[:FEW]],
        "batch": [step("predict_batch", observations=given, seed=3)],
    }


def own_answers(service: Service, steps: list[Step]) -> list[Any]:
    """What the server answers to steps that ask for decisions, without any SDK."""
    return [
        own_answer(
            service,
            each["do"],
            each.get("observation") or {"observations": each["observations"]},
            **({"seed": each["seed"]} if "seed" in each else {}),
        )
        for each in steps
    ]


def by_name(suite: Mapping[str, list[Step]], results: Results) -> dict[str, Results]:
    """The results of all steps of a suite, one after the other, by the names of the steps."""
    taken = iter(results)
    return {name: [next(taken) for _ in steps] for name, steps in suite.items()}


def without_version(answers: list[Any]) -> list[Any]:
    """Answers as the server gives them; our clients add the version that decided."""
    return [
        {name: value for name, value in answer.items() if name != VERSION} for answer in answers
    ]


def answered(results: Results) -> list[Any]:
    assert [result for result in results if "ok" not in result] == []
    return [result["ok"] for result in results]
