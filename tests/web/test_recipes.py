"""CONTRIBUTING's recipes, walked: an operation is a line, a description, a function and a name, a
protocol a file and a line."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.support.house import House
from tests.support.server import KEY, PASSWORD, USER, Server

LINE = '    Operation("count", "post", "/count", Role.MANAGE, Body.BATCH),\n'
DESCRIPTION = """\
  {{ operations.count.path }}:
{{ head(operations.count) }}
      tags: [service]
      summary: Count observations
      consumes: [{{ operations.count.body.media_type }}]
      produces: [application/json, application/problem+json]
      security: [{basic: []}, {key: []}, {bearer: []}]
      parameters:
        - name: body
          in: body
          required: true
          schema: {$ref: "#/definitions/ObservationBatch"}
      responses:
        "200":
          description: How many there are
          schema: {type: object}
{{ problems([400, 401, 403, 413, 415, 500]) }}
"""
FUNCTION = '''

def count() -> flask.Response:
    """How many observations there are."""
    return _json({"count": len(decoded_body())})
'''

PROTOCOL = '''\
"""Numbers for numbers: a line for each observation, a line for each action."""

import json

from policy_server.contract.decoding import REFUSED
from policy_server.errors import NotAuthenticated, ObservationError, UploadTooLarge
from policy_server.web.receiving import body_up_to
from policy_server.web.security import address_of, read_credentials

PATH = "/lines"


class Lines:
    """See Protocol."""

    def __init__(self, app, plane, authenticator, limit_bytes, name):
        self._app, self._plane, self._authenticator = app, plane, authenticator
        self._limit = limit_bytes

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        sent, address = read_credentials(dict(scope["headers"])), address_of(scope)
        known = sent and self._authenticator.recall(sent, address)
        if sent is None or not (known or await self._authenticator.identify(sent, address)):
            raise NotAuthenticated("Who asks?")
        body, more = await body_up_to(self._limit, receive)
        if more:
            raise UploadTooLarge
        request = self._plane.request_for("predict_batch", deterministic=True)
        rows = json.dumps({"observations": [{"warmth": float(each)} for each in body.split()]})
        try:
            decoded = request.route.decode(rows.encode())
        except REFUSED as error:
            raise ObservationError(f"This is no observation: {error}") from error
        answer, version = await self._plane.answer(request, decoded)
        text = "\\n".join(str(each["action"]) for each in answer["predictions"])
        headers = [(b"x-policy-version", version.header)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
'''
PROTOCOL_IMPORT = "from policy_server.web.protocols.protocol import Protocol\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a house to which the recipes were applied."""
    house = House(tmp_path_factory.mktemp("recipe"))
    house.replace("policy_server/contract/operations.py", "_ALL = (\n", f"_ALL = (\n{LINE}")
    house.replace("swagger.template.yaml", "\npaths:\n", f"\npaths:\n{DESCRIPTION}")
    house.replace("api.py", "    distribution,\n", "    count,\n    distribution,\n")
    house.replace("api.py", '    "distribution",\n', '    "count",\n    "distribution",\n')
    with (house.root / "policy_server/web/handlers.py").open("a", encoding="utf-8") as handlers:
        handlers.write(FUNCTION)
    protocols = "policy_server/web/protocols"
    (house.root / protocols / "lines.py").write_text(PROTOCOL, encoding="utf-8")
    ours = "from policy_server.web.protocols.lines import Lines\n"
    house.replace(f"{protocols}/registry.py", PROTOCOL_IMPORT, ours + PROTOCOL_IMPORT)
    house.replace(f"{protocols}/registry.py", "...] = (", "...] = (Lines, ")
    with house.serve(POLICY_SERVER_BODY_MEGABYTES="1") as server:
        yield server


def test_a_new_operation_answers(server: Server) -> None:
    answer = server.post("count", {"observations": [{"warmth": 1}, {"warmth": 2.5}]})
    assert (answer.status_code, answer.json()) == (200, {"count": 2})
    assert server.post("predict", {"warmth": 1}).ok


def test_its_role_is_asked_for(server: Server) -> None:
    body = {"observations": [{"warmth": 1}]}
    assert server.post("count", body, auth=None).status_code == 401
    refused = server.post("count", body, auth=None, headers={"X-API-Key": KEY})
    assert (refused.status_code, "`manage`" in refused.json()["detail"]) == (403, True)


def test_its_body_is_decoded_by_the_contract_and_limited(server: Server) -> None:
    refused = server.post("count", {"observations": [{"warmth": 1}, {"warmth": 99}]})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/observations/1/warmth"
    assert server.post("count", {"observations": [], "x": "x" * 1_000_000}).status_code == 413


def test_it_is_documented(server: Server) -> None:
    paths = server.get("swagger.json").json()["paths"]
    assert paths["/count"]["post"]["x-role"] == "manage"


def ask_lines(server: Server, text: str, path: str = "/lines", **options: Any) -> requests.Response:
    address = server.url.removesuffix("/api") + path
    return requests.post(address, data=text, timeout=30, **{"auth": (USER, PASSWORD), **options})


def test_a_new_protocol_decides(server: Server) -> None:
    rows = [-40.0, 0.5, 40.0]
    given = {"observations": [{"warmth": row} for row in rows]}
    same = server.post("predict_batch", given, params={"deterministic": "true"})
    answer = ask_lines(server, "\n".join(map(str, rows)))
    assert answer.status_code == 200, answer.text
    assert answer.text.split() == [str(each["action"]) for each in same.json()["predictions"]]
    for name in ("X-Policy-Version", "X-Content-Type-Options"):
        assert answer.headers[name] == same.headers[name]


def test_all_that_is_the_same_for_every_protocol_is_around_it(server: Server) -> None:
    other_site = {"Sec-Fetch-Site": "cross-site"}
    for answer, status in (
        (ask_lines(server, "1", auth=None), 401),
        (ask_lines(server, "1", auth=(USER, "a wrong password")), 401),
        (ask_lines(server, "1", headers=other_site), 403),
        (ask_lines(server, "1", "/lines/"), 404),
        (ask_lines(server, "99"), 400),
        (ask_lines(server, "1 " * 1_000_000), 413),
    ):
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["instance"] == answer.headers["X-Request-Id"]
