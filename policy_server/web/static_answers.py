"""What is answered from memory: where the Swagger UI is, the specifications, the favicon."""

from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.openapi31 import as_openapi_31
from policy_server.contract.specification import Specification
from policy_server.web.prefix import prefix_of
from policy_server.web.swagger_ui import FAVICON

HIDDEN_SUFFIX = "Func"
MOST_PREFIXES = 16
"""Paths below which the specifications are remembered; a server has one or two."""


class StaticAnswers:
    """`/` leads to the Swagger UI; the specifications and the favicon are served from memory.

    Args:
        app: What answers everything else.
        specification: Served without the keys that tell connexion how to call our functions, as
            it is and as OpenAPI 3.1.

    Raises:
        SchemaError: It says what cannot be said in OpenAPI 3.1.
    """

    def __init__(self, app: ASGIApp, specification: Specification) -> None:
        self._app = app
        base = specification["basePath"]
        self._base = base
        published = _published(specification)
        self._documents: dict[str, Specification] = {
            f"{base}/swagger.json": published,
            f"{base}/openapi.json": as_openapi_31(published),
        }
        self._remembered: dict[tuple[str, str], Response] = {}
        self._answers: dict[str, Response] = {
            "/": RedirectResponse(f"{base.removeprefix('/')}/ui/"),  # relative: see page.js
            base: RedirectResponse(f"{base.rpartition('/')[2]}/ui/"),
            f"{base}/": RedirectResponse("ui/"),
            f"{base}/ui": RedirectResponse("ui/"),
            f"{base}/ui/favicon.svg": Response(FAVICON.read_bytes(), media_type="image/svg+xml"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            answer = self._answers.get(scope["path"])
            if scope["path"] in self._documents:
                answer = self._document_below(prefix_of(scope), scope["path"])
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _document_below(self, prefix: str, path: str) -> Response:
        """A specification as clients see it who see the server below that path."""
        answer = self._remembered.get((prefix, path))
        if answer is None:
            base, document = f"{prefix}{self._base}", self._documents[path]
            is_swagger = "basePath" in document
            place = {"basePath": base} if is_swagger else {"servers": [{"url": base}]}
            answer = JSONResponse({**document, **place})
            if len(self._remembered) < MOST_PREFIXES * len(self._documents):
                self._remembered[prefix, path] = answer
        return answer


def _published(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _published(value)
            for key, value in node.items()
            if not (key.startswith("x-") and key.endswith(HIDDEN_SUFFIX))
        }
    return [_published(value) for value in node] if isinstance(node, list) else node
