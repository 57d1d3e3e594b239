"""Requests of clients that were made for another schema, and do not fit this one."""

from starlette.datastructures import Headers
from starlette.types import Scope

from policy_server.contract.changes import changes
from policy_server.errors import ClientOutdated, ObservationError

HEADER = "x-schema-hash"
"""With it an SDK says for which schema it was made."""


def outdated(scope: Scope, error: ObservationError) -> ClientOutdated | None:
    """What to say instead to a client of another schema; None to one of this schema, or of none.

    Args:
        scope: The request.
        error: Why it does not fit the contract.
    """
    made_for = Headers(scope=scope).get(HEADER)
    service = scope["state"]["service"]
    schema = service.contract.schema
    if made_for is None or made_for == schema.digest:
        return None
    summary = (
        f"This client was made for another schema ({made_for[:12]}) than the one that is served "
        f"({schema.digest[:12]}): get a new one at /api/clients."
    )
    old = service.schemas.find(made_for)
    if old is None:
        return ClientOutdated(f"{summary} Here is what does not fit.", error.faults)
    faults = changes(old, schema)
    return ClientOutdated(f"{summary} Here is what changed.", faults)
