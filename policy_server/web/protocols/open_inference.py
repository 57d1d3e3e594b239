"""The Open Inference Protocol (version 2) over HTTP, as Triton's and KServe's clients speak it."""

import asyncio
import re
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from policy_server.contract.decoding import LONG_BYTES
from policy_server.contract.tensors import TensorKind
from policy_server.errors import NoActivePolicy, ObservationError, Stopping
from policy_server.resources import release
from policy_server.serving.inference import InferenceRequest
from policy_server.serving.loading import LiveVersion
from policy_server.web.inference import (
    VERSION,
    InferenceProtocol,
    Reply,
    known_model,
    only,
)
from policy_server.web.observing import stages_of
from policy_server.web.receiving import READING
from policy_server.web.tensor_wire import read_message, write_message

JSON_LENGTH = b"inference-header-content-length"
BYTES_TYPE = b"application/octet-stream"
HEALTH = frozenset({"/v2/health/live", "/v2/health/ready"})
MODEL = re.compile(
    r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<what>/infer|/ready)?"
)
NO_VERSION = "No version was activated yet."
EXTENSIONS = ["binary_tensor_data", "model_repository"]


class OpenInference(InferenceProtocol):
    """The live policy as one model, whose versions are the policy's."""

    root = "/v2"

    def is_open(self, scope: Scope) -> bool:
        return scope["path"] in HEALTH

    async def answer(self, scope: Scope, receive: Receive) -> Reply | None:
        path = scope["path"]
        if path == "/v2/repository/index":
            only(scope, "POST")
            return _json(await self._index(scope))
        found = MODEL.fullmatch(path)
        if found is not None and found["what"] == "/infer":
            only(scope, "POST")
            return await self._infer(scope, receive, known_model(found.groupdict(), self.name))
        only(scope, "GET", "HEAD")
        if path == self.root:
            return _json({"name": "policy-server", "version": release(), "extensions": EXTENSIONS})
        if path in HEALTH:
            if path.endswith("ready"):
                self.ready(scope)
            return _json({path.rpartition("/")[2]: True})
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        live = self._live(scope, known_model(found.groupdict(), self.name))
        if found["what"] == "/ready":
            return _json({"name": self.name, "ready": True})
        return _json(self._metadata(live))

    def _live(self, scope: Scope, version: str | None) -> LiveVersion:
        live = self.ready(scope)
        if version not in (None, live.name):
            raise HTTPException(
                HTTPStatus.NOT_FOUND, f"Version {version} does not decide, {live.name} does."
            )
        return live

    async def _index(self, scope: Scope) -> list[dict[str, str]]:
        """This policy, and those that have names where it is the default one."""
        others = [
            _indexed(each["policy"], each.get("version"), each.get("detail", NO_VERSION))
            for each in await self.others(scope)
        ]
        try:
            version, reason = self.ready(scope).name, ""
        except (NoActivePolicy, Stopping) as error:
            version, reason = None, str(error)
        return [_indexed(self.name, version, reason), *others]

    def _metadata(self, live: LiveVersion) -> dict[str, Any]:
        return {
            "name": self.name,
            "versions": [live.name],
            "platform": "policy-server",
            "inputs": _kinds(self.model.inputs(live)),
            "outputs": _kinds(self.model.outputs(live)),
        }

    async def _infer(self, scope: Scope, receive: Receive, version: str | None) -> Reply | None:
        headers = dict(scope["headers"])
        length = _json_length(headers.get(JSON_LENGTH))
        seconds = self.seconds(scope)
        body = await self.body(receive)
        if body is None:
            return None
        if len(body) <= LONG_BYTES:
            message, inputs = read_message(body, length)
        else:
            loop = asyncio.get_running_loop()
            message, inputs = await loop.run_in_executor(READING, read_message, body, length)
        parameters = message.parameters
        if parameters.timeout is not None:
            asked = self.plane.seconds_of(f"{parameters.timeout / 1e6:.9f}")
            seconds = asked if seconds is None or asked is None else min(asked, seconds)
        wanted = None if version is None else version.encode()
        request = InferenceRequest(
            inputs,
            [each.name for each in message.outputs or ()],
            parameters.seed,
            parameters.deterministic,
            headers.get(VERSION) if wanted is None else wanted,
            seconds,
        )
        outputs, decided = await self.model.infer(request, stages_of(scope))
        head: dict[str, Any] = {"model_name": self.name, "model_version": decided.name}
        if message.id is not None:
            head["id"] = message.id
        content, json_length = write_message(head, outputs, message)
        named = [(VERSION, decided.header)]
        if json_length is None:
            return Reply(content, headers=named)
        named.append((JSON_LENGTH, b"%d" % json_length))
        return Reply(content, media_type=BYTES_TYPE, headers=named)


def _json(content: Any) -> Reply:
    return Reply(msgspec.json.encode(content))


def _kinds(kinds: tuple[TensorKind, ...]) -> list[dict[str, Any]]:
    return [{"name": each.name, "datatype": each.datatype, "shape": each.shape} for each in kinds]


def _json_length(given: bytes | None) -> int | None:
    if given is None:
        return None
    if not given.isdigit() or len(given) > 12:
        raise ObservationError("Inference-Header-Content-Length is a number of bytes.")
    return int(given)


def _indexed(name: str, version: str | None, reason: str) -> dict[str, str]:
    """A model as the index has it; one that is loaded when it is asked is ready."""
    ready = version is not None
    state = "READY" if ready else "UNAVAILABLE"
    return {
        "name": name,
        "version": version or "",
        "state": state,
        "reason": "" if ready else reason,
    }
