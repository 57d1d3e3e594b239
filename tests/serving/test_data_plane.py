"""Another protocol is one ASGI callable that asks the data plane, and nothing else of the house."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send

from policy_server.contract.operations import OPERATIONS, Body
from policy_server.errors import DeadlineExceeded, PolicyServerError
from policy_server.serving.data_plane import QUERIES, DataPlane
from policy_server.serving.decisions import PendingDecision
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.serving.memory_tokens import MemoryTokens
from policy_server.store.store import Store
from tests.serving.conftest import CONTRACT, make_version
from tests.support.networks import linear_kernel

ROWS = [[0.5, -1.0, 2.0], [3.0, 0.0, -0.25], [-1.5, 2.5, 0.125]]
MOST_SECONDS = 5.0


class Lines:
    """A protocol of numbers: a line of them for each observation, a line for each action.

    Args:
        plane: Decides.
    """

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        rows = [[float(number) for number in line.split()] for line in message["body"].splitlines()]
        version = dict(scope["headers"]).get(b"if-version")
        request = self._plane.request_for("predict_batch", deterministic=True, version=version)
        content = json.dumps({"observations": [{"x": row} for row in rows]}).encode()
        try:
            decoded = request.route.decode(content)
            answer, by = await self._plane.answer(request, decoded)
            lines = [str(each["action"]) for each in answer["predictions"]]
            status, headers, text = 200, [(b"version", by.header)], "\n".join(lines)
        except PolicyServerError as error:
            status, headers, text = 400, [], f"! {error}"
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


def exchange(app: Lines, text: str, **headers: str) -> Awaitable[tuple[int, dict[Any, Any], str]]:
    async def receive() -> Message:
        return {"type": "http.request", "body": text.encode(), "more_body": False}

    async def exchanged() -> tuple[int, dict[Any, Any], str]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        named = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        await app({"type": "http", "path": "/lines", "headers": named}, receive, send)
        start, body = sent
        return start["status"], dict(start["headers"]), body["body"].decode()

    return exchanged()


def with_plane(store: Store, work: Callable[[DataPlane], Awaitable[None]]) -> None:
    """Do some work with the data plane of a store's active version."""

    async def run() -> None:
        live = LivePolicy(store, CONTRACT, ServingLimits())
        await live.start()
        try:
            tokens = MemoryTokens(b"a key of the tests", CONTRACT.digest, 60)
            await work(DataPlane(live, CONTRACT, MOST_SECONDS, tokens=tokens))
        finally:
            await live.stop()

    asyncio.run(run())


def test_a_protocol_of_its_own_decides_through_the_data_plane_alone(store: Store) -> None:
    name = make_version(store)
    best = np.argmax(np.array(ROWS) @ linear_kernel(3, 4), axis=1)
    text = "\n".join(" ".join(map(str, row)) for row in ROWS)

    async def work(plane: DataPlane) -> None:
        lines = Lines(plane)
        assert await exchange(lines, text) == (
            200,
            {b"version": name.encode()},
            "\n".join(map(str, best)),
        )
        status, _, said = await exchange(lines, text, if_version="9-gone")
        assert (status, said) == (400, f"! Version 9-gone is asked for, and {name} decides.")

    with_plane(store, work)


def test_without_a_policy_the_outcome_says_what_is_missing(store: Store) -> None:
    async def work(plane: DataPlane) -> None:
        status, _, said = await exchange(Lines(plane), "1 2 3")
        assert status == 400
        assert said.startswith("! No policy can decide")

    with_plane(store, work)


def test_every_operation_that_decides_is_decided_here(store: Store) -> None:
    """With the answer in its words, and the version that gave it."""
    name = make_version(store)
    observation = json.dumps({"x": ROWS[0]}).encode()
    bodies = {
        Body.OBSERVATION: observation,
        Body.BATCH: b'{"observations": [%s]}' % observation,
        Body.FEATURES: json.dumps({"obs": ROWS[0]}).encode(),
        Body.STEP: b'{"observation": %s}' % observation,
        Body.STEPS: b'{"steps": [{"observation": %s}]}' % observation,
    }
    deciding = {each.id for each in OPERATIONS.values() if each.body in bodies}
    assert deciding == set(QUERIES)

    async def work(plane: DataPlane) -> None:
        best = int(np.argmax(np.array(ROWS[0]) @ linear_kernel(3, 4)))
        found = {}
        for operation in sorted(deciding):
            route = plane.routes[operation]
            mode = route.operation.has_mode
            request = plane.request_for(operation, deterministic=mode)
            decoded = route.decode(bodies[route.operation.body])
            if "{version}" in route.operation.path:
                answer, by = await plane.answer_with(name, request, decoded)
            else:
                answer, by = await plane.answer(request, decoded)
            assert by.name == name
            found[operation] = answer
        described = found.pop("distribution")
        assert described["heads"][0]["actions"] == [0, 1, 2, 3]
        assert found.pop("distribution_batch") == {"distributions": [described]}
        for operation, answer in found.items():
            (prediction,) = answer.get("predictions", answer.get("steps", [answer]))
            if "step" in operation:
                assert prediction.keys() == {"prediction", "memory"}
                prediction = prediction["prediction"]
            drawn = operation in ("predict", "predict_raw")
            assert prediction["action"] in (range(4) if drawn else [best])

    with_plane(store, work)


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), ("0.25", 0.25), (b"3", 3.0), ("600", MOST_SECONDS)]
)
def test_no_client_waits_longer_than_the_server_lets_it(
    store: Store, timeout: str | bytes | None, seconds: float | None
) -> None:
    plane = DataPlane(LivePolicy(store, CONTRACT, ServingLimits()), CONTRACT, MOST_SECONDS)
    assert plane.request_for("predict", timeout=timeout).seconds == seconds


def test_a_decision_that_failed_gives_no_answer(store: Store) -> None:
    async def work(plane: DataPlane) -> None:
        done = asyncio.get_running_loop().create_future()
        done.set_exception(DeadlineExceeded("It was not decided within 1 seconds."))
        pending = PendingDecision(plane.routes["predict"].finish, None, done)
        with pytest.raises(DeadlineExceeded):
            pending.answer()

    with_plane(store, work)
