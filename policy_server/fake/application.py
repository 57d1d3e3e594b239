"""What stands before the real application in a fake server: records, failures, and their paths."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import MAX_SEED, OPERATIONS
from policy_server.errors import ObservationError, PolicyServerError
from policy_server.fake.calls import Calls
from policy_server.fake.failures import DETAIL, Failure, Failures
from policy_server.web.answer_headers import AnswerHeaders
from policy_server.web.problems import describe, problem
from policy_server.web.request_ids import RequestIdMiddleware, request_id

CALLS, FAULTS = "/fake/calls", "/fake/faults"
FAILURE = "policy_server.fake.failure"
"""Where the scope of a call has what it meets."""
UNRECORDED = ("/ui", "/swagger.json", "/openapi.json", "/health")
"""Below the base path: what nobody calls a call."""
Control = Callable[[Request], Awaitable[Response]]


class FakeApplication:
    """The ASGI callable of a fake server.

    Args:
        app: The real application.
        base: What the operations' paths begin with.
        seed: Draws follow from it and the number of the call, where the client gives none; None
            leaves them to chance.
    """

    def __init__(self, app: ASGIApp, base: str, seed: int | None = None) -> None:
        self._app = app
        self._base = base
        self._seed = seed
        self._seeded = {f"{base}{each.path}" for each in OPERATIONS.values() if each.seeded}
        self._unrecorded = ("/fake/", *(f"{base}{each}" for each in UNRECORDED))
        self._calls = Calls()
        self._failures = Failures()
        self._failing = AnswerHeaders(RequestIdMiddleware(_fail), base, b"")
        self._controls: dict[tuple[str, str], Control] = {
            ("GET", CALLS): self._show_calls,
            ("DELETE", CALLS): self._clear_calls,
            ("GET", FAULTS): self._show_failures,
            ("POST", FAULTS): self._add_failure,
            ("DELETE", FAULTS): self._clear_failures,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        control = self._controls.get((scope["method"], path))
        if control is not None:
            answer = await control(Request(scope, receive))
            await answer(scope, receive, send)
        elif path.startswith(self._unrecorded):
            await self._app(scope, receive, send)
        else:
            await self._calls.record(self._answer, scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        failure = self._failures.take(scope["path"])
        if failure is not None:
            await asyncio.sleep(failure.delay_seconds)
            if failure.answer is not None:
                await self._failing({**scope, FAILURE: failure}, receive, send)
                return
        await self._app(self._with_seed(scope), receive, send)

    def _with_seed(self, scope: Scope) -> Scope:
        query: bytes = scope["query_string"]
        if self._seed is None or scope["path"] not in self._seeded:
            return scope
        if "seed" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
            return scope
        seed = b"seed=%d" % ((self._seed + self._calls.count) % MAX_SEED)
        return {**scope, "query_string": b"&".join(filter(None, [query, seed]))}

    async def _show_calls(self, request: Request) -> Response:
        return _json({"calls": [*self._calls]})

    async def _clear_calls(self, request: Request) -> Response:
        self._calls.clear()
        return Response(status_code=204)

    async def _show_failures(self, request: Request) -> Response:
        return _json({"faults": self._failures.waiting})

    async def _add_failure(self, request: Request) -> Response:
        try:
            self._failures.add(await request.body())
        except ObservationError as error:
            return _refused(error)
        return _json({"faults": self._failures.waiting}, 201)

    async def _clear_failures(self, request: Request) -> Response:
        self._failures.waiting.clear()
        return Response(status_code=204)


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _refused(error: PolicyServerError) -> Response:
    faults = error.faults if isinstance(error, ObservationError) else ()
    status, _, detail = describe(error, to_manager=True)
    body, headers = problem(status, "Not a valid fault", detail, "", faults)
    return Response(body, status, headers)


async def _fail(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a call as its failure says, once all of it has been read."""
    failure: Failure = scope[FAILURE]
    assert failure.answer is not None
    await Request(scope, receive).body()
    status, title = failure.answer
    body, headers = problem(status, title, DETAIL, request_id(scope))
    if failure.retry_after is not None:
        headers["Retry-After"] = str(failure.retry_after)
    await Response(body, status, headers)(scope, receive, send)
