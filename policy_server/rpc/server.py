"""The gRPC server: each call is a request of the Open Inference Protocol to the application."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import grpc
import msgspec
from starlette.types import ASGIApp

from policy_server.contract.operations import (
    KEY_HEADER,
    REQUEST_ID_HEADER,
    TIMEOUT_HEADER,
    VERSION_HEADER,
)
from policy_server.errors import ConfigurationError, Fault, ObservationError
from policy_server.rpc.application import Answer, alive, ask
from policy_server.rpc.messages import CALLS, SERVICE, message_types
from policy_server.rpc.translation import http_body, infer_response, model_metadata, model_path

CODES: Mapping[int, Any] = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""Of each status; others are INTERNAL."""
PASSED = tuple(
    name.lower() for name in ("Authorization", KEY_HEADER, REQUEST_ID_HEADER, VERSION_HEADER)
)
"""Metadata of a call that count as headers."""
ANSWERED = tuple(name.lower() for name in (REQUEST_ID_HEADER, VERSION_HEADER))
JSON_LENGTH = "inference-header-content-length"
MOST_SECONDS = 999_999.0
MOST_CALLS = 64
"""At a time: a message is received whole before anybody is asked who sends it."""
OVERHEAD_BYTES = 65_536
"""Of a message, beside what the same is over HTTP."""

Handler = Callable[[Any, Any], Awaitable[Any]]


@dataclass(frozen=True)
class Listening:
    """Where and how it listens.

    Attributes:
        host: An address; `::1` without brackets.
        port: 0 takes a free one.
        certificate: Of the server and its key, PEM; None speaks no TLS.
        limit_bytes: Of a body over HTTP.
        grace_seconds: Calls under way have so long to end.
    """

    host: str
    port: int
    certificate: tuple[bytes, bytes] | None
    limit_bytes: int
    grace_seconds: float


class InferenceService:
    """Answers the calls of the protocol.

    Args:
        application: Is alive.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application
        self._types = message_types()

    def handlers(self) -> Any:
        """What a server of grpc takes."""
        called: dict[str, Handler] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._model_infer,
        }
        assert tuple(called) == CALLS
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                handler,
                self._types[f"{name}Request"].FromString,
                self._types[f"{name}Response"].SerializeToString,
            )
            for name, handler in called.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def _server_live(self, request: Any, context: Any) -> Any:
        await self._get("/v2/health/live", context)
        return self._types["ServerLiveResponse"](live=True)

    async def _server_ready(self, request: Any, context: Any) -> Any:
        ready = await self._is_ready("/v2/health/ready", context)
        return self._types["ServerReadyResponse"](ready=ready)

    async def _model_ready(self, request: Any, context: Any) -> Any:
        path = model_path(request.name, request.version, "/ready")
        return self._types["ModelReadyResponse"](ready=await self._is_ready(path, context))

    async def _server_metadata(self, request: Any, context: Any) -> Any:
        return self._types["ServerMetadataResponse"](**await self._get("/v2", context))

    async def _model_metadata(self, request: Any, context: Any) -> Any:
        return model_metadata(await self._get(model_path(request.name, request.version), context))

    async def _model_infer(self, request: Any, context: Any) -> Any:
        try:
            body, length = http_body(request)
        except ObservationError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        path = model_path(request.model_name, request.model_version, "/infer")
        answer = await self._asked("POST", path, context, body, {JSON_LENGTH: str(length)})
        await self._check(answer, context)
        return infer_response(answer.content, int(answer.headers[JSON_LENGTH]))

    async def _is_ready(self, path: str, context: Any) -> bool:
        answer = await self._asked("GET", path, context)
        if answer.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.NOT_FOUND):
            return False
        await self._check(answer, context)
        return True

    async def _get(self, path: str, context: Any) -> Any:
        answer = await self._asked("GET", path, context)
        await self._check(answer, context)
        return msgspec.json.decode(answer.content)

    async def _check(self, answer: Answer, context: Any) -> None:
        named = [(name, answer.headers[name]) for name in ANSWERED if name in answer.headers]
        context.set_trailing_metadata(named)
        if answer.status != HTTPStatus.OK:
            told = msgspec.json.decode(answer.content)
            text = told.get("error") or told.get("detail") or ""
            await context.abort(CODES.get(answer.status, grpc.StatusCode.INTERNAL), text)

    async def _asked(
        self,
        method: str,
        path: str,
        context: Any,
        body: bytes = b"",
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = list((more or {}).items())
        for name, value in context.invocation_metadata() or ():
            if name in PASSED and isinstance(value, str):
                headers.append((name, value))
        left = context.time_remaining()
        if left is not None and method == "POST":
            headers.append((TIMEOUT_HEADER.lower(), f"{min(max(left, 0.0), MOST_SECONDS):.6f}"))
        client = _client_of(context.peer())
        return await ask(self._application, method, path, headers, body, client)


def serve(application: ASGIApp, listening: Listening, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        application: Answers the same over HTTP.
        listening: Where, and how.
        ready: Called with the port, once calls are answered.

    Raises:
        ConfigurationError: It cannot listen there.
    """
    asyncio.run(_serve(application, listening, ready))


async def _serve(application: ASGIApp, listening: Listening, ready: Callable[[int], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    size = listening.limit_bytes + OVERHEAD_BYTES
    options = (
        ("grpc.max_receive_message_length", size),
        ("grpc.so_reuseport", 0),
    )
    async with alive(application):
        server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MOST_CALLS)
        server.add_generic_rpc_handlers((InferenceService(application).handlers(),))
        port = _listen(server, listening)
        await server.start()
        ready(port)
        await ended.wait()
        await server.stop(listening.grace_seconds)


def _listen(server: Any, listening: Listening) -> int:
    host = f"[{listening.host}]" if ":" in listening.host else listening.host
    address = f"{host}:{listening.port}"
    try:
        if listening.certificate is None:
            return int(server.add_insecure_port(address))
        certificate, key = listening.certificate
        secure = grpc.ssl_server_credentials([(key, certificate)])
        return int(server.add_secure_port(address, secure))
    except RuntimeError as error:
        fault = Fault(address, "cannot be listened on: another program may do so already.")
        raise ConfigurationError("The gRPC server cannot be started.", [fault]) from error


def _client_of(peer: str) -> tuple[str, int] | None:
    """Address and port of `ipv4:127.0.0.1:50000`; None of a socket of UNIX."""
    kind, _, address = peer.partition(":")
    host, _, port = address.rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdigit():
        return None
    return host.removeprefix("%5B").removesuffix("%5D").strip("[]"), int(port)
