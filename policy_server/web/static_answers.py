"""What is answered from memory: where the Swagger UI is, the specification, the favicon."""

from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.specification import Specification
from policy_server.web.prefix import prefix_of
from policy_server.web.swagger_ui import FAVICON

HIDDEN_SUFFIX = "Func"
MOST_PREFIXES = 16
"""Paths below which the specification is remembered; a server has one or two."""


class StaticAnswers:
    """`/` leads to the Swagger UI; the specification and the favicon are served from memory.

    Args:
        app: What answers everything else.
        specification: Served without the keys that tell connexion how to call our functions.
    """

    def __init__(self, app: ASGIApp, specification: Specification) -> None:
        self._app = app
        base = specification["basePath"]
        self._specification = _published(specification)
        self._specification_path = f"{base}/swagger.json"
        self._specifications: dict[str, Response] = {}
        self._answers: dict[str, Response] = {
            "/": RedirectResponse(f"{base.removeprefix('/')}/ui/"),  # relative: see page.js
            f"{base}/ui": RedirectResponse("ui/"),
            f"{base}/ui/favicon.svg": Response(FAVICON.read_bytes(), media_type="image/svg+xml"),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            answer = self._answers.get(scope["path"])
            if scope["path"] == self._specification_path:
                answer = self._specification_below(prefix_of(scope))
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _specification_below(self, prefix: str) -> Response:
        """The specification as clients see it who see the server below that path."""
        answer = self._specifications.get(prefix)
        if answer is None:
            base = f"{prefix}{self._specification['basePath']}"
            answer = JSONResponse({**self._specification, "basePath": base})
            if len(self._specifications) < MOST_PREFIXES:
                self._specifications[prefix] = answer
        return answer


def _published(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _published(value)
            for key, value in node.items()
            if not (key.startswith("x-") and key.endswith(HIDDEN_SUFFIX))
        }
    return [_published(value) for value in node] if isinstance(node, list) else node
