"""Whether the server's fast path takes what a client sends."""

import warnings
from types import SimpleNamespace
from typing import Any

from policy_server.access.identity import Identity
from policy_server.contract.operations import BASE_PATH, OPERATIONS, Role
from tests.clients.faults import Request

LIMIT_BYTES = 1_000_000
CLIENT = Identity("tester", "user", Role.PREDICT)


def takes(request: Request) -> bool:
    """Whether it takes a prediction, from a client whose credentials are known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what connexion imports
        from policy_server.web.request_matcher import RequestMatcher
    plane: Any = SimpleNamespace(
        routes={"predict": SimpleNamespace(operation=OPERATIONS["predict"])},
        request_for=lambda operation, **_: operation,
    )
    authenticator: Any = SimpleNamespace(
        request_memory=lambda: None, recall_request=lambda *_: None, recall=lambda *_: CLIENT
    )
    path, _, query = request.path.partition("?")
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in request.headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
    }
    return RequestMatcher(plane, authenticator, [BASE_PATH], LIMIT_BYTES).match(scope) is not None
