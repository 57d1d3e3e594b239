"""The header in which a proxy says whose certificate it has verified."""

from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import CERTIFICATE_HEADER, wire_name
from policy_server.web.surroundings import Surroundings

HEADER = wire_name(CERTIFICATE_HEADER)


class VerifiedCertificates:
    """Takes the header off every request, but for one that a trusted proxy has sent with it.

    Args:
        app: What answers; it believes the header.
        surroundings: Whose word counts.
    """

    def __init__(self, app: ASGIApp, surroundings: Surroundings) -> None:
        self._app = app
        self._surroundings = surroundings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            found = [value for name, value in scope["headers"] if name == HEADER]
            if found and (len(found) > 1 or not self._surroundings.trust(scope)):
                others = [pair for pair in scope["headers"] if pair[0] != HEADER]
                scope = {**scope, "headers": others}
        await self._app(scope, receive, send)
