"""How the SDKs and the server itself are asked the same."""

from typing import Any

from policy_server.contract.samples import random_observations
from tests.clients.conftest import Service, Step

COUNT, FEW = 100, 10


def observations(service: Service) -> list[dict[str, Any]]:
    return list(random_observations(service.schema, COUNT, seed=5))


def own_answer(service: Service, operation: str, body: object, **query: int | str) -> Any:
    answer = service.server.post(operation, body, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def step(asked: str, client: str = "user", **more: Any) -> Step:
    return {"do": asked, "client": client, **more}
