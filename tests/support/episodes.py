"""Episodes, stepped through the data plane as a protocol would."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from policy_server.contract.contract import Contract
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.decisions import Named
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.serving.memory_tokens import MemoryTokens
from policy_server.store.store import Store

MOST_SECONDS, EPISODE_SECONDS = 30.0, 3_600
KEY = b"a key of the tests, and of no server"
Json = dict[str, Any]


class Stepper:
    """A data plane, asked for steps.

    Args:
        store: Holds the versions.
        contract: Of the versions.
        key: Signs memories; None where there is none.
    """

    def __init__(self, store: Store, contract: Contract, key: bytes | None = KEY) -> None:
        self.live = LivePolicy(store, contract, ServingLimits())
        self.tokens = key and MemoryTokens(key, contract.digest, EPISODE_SECONDS)
        self.plane = DataPlane(self.live, contract, MOST_SECONDS, tokens=self.tokens or None)

    async def ask(self, operation: str, body: object, **options: Any) -> tuple[Any, Named]:
        """The answer of an operation, and what gave it."""
        request = self.plane.request_for(operation, **options)
        decoded = request.route.decode(json.dumps(body).encode())
        return await self.plane.answer(request, decoded)

    async def step(
        self, observation: Json, memory: str | None = None, **options: Any
    ) -> tuple[Json, str]:
        """The prediction, and the memory for the next step."""
        answer, _ = await self.ask("step", step_of(observation, memory), **options)
        assert answer.keys() == {"prediction", "memory"}
        return answer["prediction"], answer["memory"]

    async def steps(
        self, given: Sequence[tuple[Json, str | None]], **options: Any
    ) -> list[tuple[Json, str]]:
        """The same of many episodes."""
        body = {"steps": [step_of(*each) for each in given]}
        answer, _ = await self.ask("step_batch", body, **options)
        return [(each["prediction"], each["memory"]) for each in answer["steps"]]


def step_of(observation: Json, memory: str | None) -> Json:
    """A step as clients send it."""
    return {"observation": observation} | ({} if memory is None else {"memory": memory})


def stepping(
    store: Store,
    contract: Contract,
    work: Callable[[Stepper], Awaitable[None]],
    key: bytes | None = KEY,
) -> None:
    """Do some work with the versions of a store."""

    async def run() -> None:
        stepper = Stepper(store, contract, key)
        await stepper.live.start()
        try:
            await work(stepper)
        finally:
            await stepper.live.stop()

    asyncio.run(run())
