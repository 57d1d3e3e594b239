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


def refused(status: int, kind: str | None, *pointers: str) -> dict[str, Any]:
    """What drivers tell of a refusal.

    Args:
        status: Of HTTP.
        kind: The end of the problem's type; None where something else refused.
        pointers: Where the faults are.
    """
    told = None if kind is None else f"/problems/{kind}"
    return {"refused": {"status": status, "type": told, "pointers": [*pointers]}}
