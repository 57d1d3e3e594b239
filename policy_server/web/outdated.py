"""Requests of clients that were made for another schema, and do not fit this one."""

from starlette.datastructures import Headers
from starlette.types import Scope

from policy_server.contract.changes import changes
from policy_server.contract.operations import BASE_PATH, OPERATIONS, SCHEMA_HEADER
from policy_server.errors import ClientOutdated, ObservationError
from policy_server.web.state import state_of


def outdated(scope: Scope, error: ObservationError) -> ClientOutdated | None:
    """What to say instead to a client of another schema; None to one of this schema, or of none.

    Args:
        scope: The request.
        error: Why it does not fit the contract.
    """
    made_for = Headers(scope=scope).get(SCHEMA_HEADER)
    service = state_of(scope).service
    schema = service.contract.schema
    if made_for is None or made_for == schema.digest:
        return None
    summary = (
        f"This client was made for another schema ({made_for[:12]}) than the one that is served "
        f"({schema.digest[:12]}): get a new one at {BASE_PATH}{OPERATIONS['clients'].path}."
    )
    old = service.schemas.find(made_for)
    if old is None:
        return ClientOutdated(f"{summary} Here is what does not fit.", error.faults)
    faults = changes(old, schema)
    return ClientOutdated(f"{summary} Here is what changed.", faults)
