"""The row format of TensorFlow Serving and of KServe's version 1: instances to predictions."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from policy_server.contract.decoding import LONG_BYTES, REFUSED
from policy_server.contract.operations import MAX_SEED
from policy_server.errors import ObservationError
from policy_server.serving.decisions import Decode
from policy_server.serving.inference import DECIDES
from policy_server.web.inference import VERSION, InferenceProtocol, Reply, known_model, only
from policy_server.web.observing import stages_of
from policy_server.web.receiving import READING

MODELS = "/v1/models"
MODEL = re.compile(
    r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<predict>:predict)?"
)
SEED = re.compile(r"[0-9]{1,16}")
MODES = {"true": True, "false": False}
FITS: Mapping[str, Callable[[str], bool]] = {
    "seed": lambda text: SEED.fullmatch(text) is not None and int(text) <= MAX_SEED,
    "deterministic": MODES.__contains__,
}
"""The parameters of a query, and which values they take."""


class Rows(msgspec.Struct, forbid_unknown_fields=True):
    """The body: observations as the API takes them."""

    instances: msgspec.Raw
    signature_name: str = ""


class RowFormat(InferenceProtocol):
    """The live policy as one model; instances are observations, predictions those of the API."""

    root = "/v1"

    def is_open(self, scope: Scope) -> bool:
        return False

    async def answer(self, scope: Scope, receive: Receive) -> Reply | None:
        found = MODEL.fullmatch(scope["path"])
        if scope["path"] == MODELS:
            only(scope, "GET", "HEAD")
            names = [self.name, *(each["policy"] for each in await self.others(scope))]
            return Reply(msgspec.json.encode({"models": names}))
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "There is nothing at this path.")
        version = known_model(found.groupdict(), self.name)
        if found["predict"] is None:
            only(scope, "GET", "HEAD")
            return self._status(scope, version)
        only(scope, "POST")
        return await self._predict(scope, receive, version)

    def _status(self, scope: Scope, version: str | None) -> Reply:
        live = self.ready(scope)
        if version not in (None, live.name):
            raise HTTPException(HTTPStatus.NOT_FOUND, f"Version {version} does not decide.")
        status = {"error_code": "OK", "error_message": ""}
        told = {"version": live.name, "state": "AVAILABLE", "status": status}
        return Reply(
            msgspec.json.encode({"name": self.name, "ready": True, "model_version_status": [told]})
        )

    async def _predict(self, scope: Scope, receive: Receive, version: str | None) -> Reply | None:
        if DECIDES.id not in self.plane.routes:
            raise ObservationError(
                "The schema has no observations, so there are no instances: ask by /v2."
            )
        options = _options(scope["query_string"])
        seconds = self.seconds(scope)
        body = await self.body(receive)
        if body is None:
            return None
        wanted = dict(scope["headers"]).get(VERSION) if version is None else version.encode()
        request = self.plane.request_for(DECIDES.id, version=wanted, **options)
        request = request._replace(seconds=seconds)
        try:
            if len(body) <= LONG_BYTES:
                decoded = _instances(body, request.route.decode)
            else:
                loop = asyncio.get_running_loop()
                decode = request.route.decode
                decoded = await loop.run_in_executor(READING, _instances, body, decode)
        except REFUSED as error:
            detail = str(error).replace("observations", "instances")
            raise ObservationError(f"These are no instances. {detail}.") from error
        answer, decided = await self.plane.answer(request, decoded, stages_of(scope))
        return Reply(msgspec.json.encode(answer), headers=[(VERSION, decided.header)])


def _instances(body: bytes, decode: Decode) -> Sequence[Any]:
    """The observations of a body, as those of a batch; raises what the decoder raises."""
    rows = msgspec.json.decode(body, type=Rows)
    return decode(b'{"observations":%b}' % bytes(rows.instances))


def _options(query: bytes) -> dict[str, Any]:
    """Seed and `deterministic` of a query, as the API has them."""
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    for name, values in given.items():
        if len(values) > 1 or name not in FITS or not FITS[name](values[0]):
            raise ObservationError("`seed` and `deterministic` may be asked for, once.")
    return {
        "seed": int(given["seed"][0]) if "seed" in given else None,
        "deterministic": MODES[given.get("deterministic", ["false"])[0]],
    }
