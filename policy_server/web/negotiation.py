"""Whether a client takes the type that an operation answers with."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import Operation, Role
from policy_server.web.adapters.connexion_request import operation_of
from policy_server.web.media_types import accepts

ACCEPT = b"accept"


class Negotiation:
    """Refuses with 406 what could only be answered with a type that the client does not take.

    Nothing was done then. Operations that anybody may ask are not refused: probes look at the
    status alone, and send what they like.

    Args:
        app: What comes next.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        operation = operation_of(scope) if scope["type"] == "http" else None
        if operation is not None and not _is_acceptable(operation, scope):
            raise HTTPException(
                HTTPStatus.NOT_ACCEPTABLE,
                f"The answer is {operation.answer}, and the header Accept takes none of that: "
                f"send Accept: {operation.answer}, or leave it out.",
            )
        await self._app(scope, receive, send)


def _is_acceptable(operation: Operation, scope: Scope) -> bool:
    if not operation.answer or operation.role is Role.NONE:
        return True
    values = [value for name, value in scope["headers"] if name == ACCEPT]
    return accepts(b",".join(values), operation.answer)
