"""What a protocol is: another way to ask for decisions, at paths of its own."""

from typing import Protocol as Interface

from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.access.authenticator import Authenticator
from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.data_plane import DataPlane


class Protocol(Interface):
    """An ASGI callable that answers requests at its own paths, and hands on all others.

    Names of requests, headers that every answer has, odd paths and pages of other sites are dealt
    with around it, and errors in the domain's words that it raises are answered as problem
    documents. For credentials it asks itself.

    Args:
        app: What answers all other requests.
        plane: Decides: knows the version, deadlines, decoding and the words of answers.
        authenticator: Knows who may do what.
        limit_bytes: Of a body.
        name: Of the policy, as a model.
    """

    def __init__(
        self,
        app: ASGIApp,
        plane: DataPlane,
        authenticator: Authenticator,
        limit_bytes: int,
        name: str = DEFAULT,
    ) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
