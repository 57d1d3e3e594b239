"""Which policy a request is for, by its path."""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.contract.operations import BASE_PATH
from policy_server.contract.policy_names import DEFAULT, PATTERN, ROOT
from policy_server.errors import PolicyNotFound, PolicyServerError
from policy_server.web.policies import Policies
from policy_server.web.prefix import without
from policy_server.web.surroundings import Surroundings

OF_A_POLICY = re.compile(rf"{ROOT}/({PATTERN})(/.*)", re.DOTALL)
OF_ALL = re.compile(rf"{ROOT}(?:/{PATTERN})?")
"""The operations on policies themselves; they lie below the API, and here, too."""
AS_MODEL = re.compile(rf"/v[12]/models/({PATTERN})(?:[/:].*)?", re.DOTALL)
OF_DEFAULT = f"{ROOT}/{DEFAULT}/"
REFUSED = "policy_server.refused"
"""In the extensions of a scope: why the policy that it is for does not answer."""


class PolicyPaths:
    """Hands each request to the policy that it is for.

    Args:
        default: Answers for the default policy, and says what is wrong with all others.
        policies: By their names.
        surroundings: Below which path a proxy may show the server, and how clients of inference
            servers call the default policy.
    """

    def __init__(self, default: ASGIApp, policies: Policies, surroundings: Surroundings) -> None:
        self._default = default
        self._policies = policies
        self._prefix = surroundings.prefix
        self._model = surroundings.model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        below = without(self._prefix, scope)
        found = OF_A_POLICY.fullmatch(below["path"])
        as_model = None if found else AS_MODEL.fullmatch(below["path"])
        name = (found or as_model or [DEFAULT, DEFAULT])[1]
        if as_model and name == self._model:
            name = DEFAULT
        answer = self._default
        if name == DEFAULT:
            scope = _as_default(below, scope)
        else:
            try:
                answer = await self._policies.get(name)
            except PolicyServerError as error:
                # Of models that there are none of, protocols have their own words.
                if not (as_model and isinstance(error, PolicyNotFound)):
                    scope.setdefault("extensions", {})[REFUSED] = error
        await answer(scope, receive, send)


class RefusedPolicies:
    """Says why a policy does not answer, in the words of the API; hands on all else.

    Args:
        app: What comes next.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        error: PolicyServerError | None = scope.get("extensions", {}).get(REFUSED)
        if error is not None:
            raise error
        await self._app(scope, receive, send)


def _as_default(below: Scope, scope: Scope) -> Scope:
    """A request for the default policy by its name, or for the operations on policies."""
    path = below["path"]
    if path.startswith(OF_DEFAULT):
        return _moved(below, OF_DEFAULT.removesuffix("/"), "")
    if OF_ALL.fullmatch(path):
        return _moved(below, "", BASE_PATH)
    return scope


def _moved(scope: Scope, old: str, new: str) -> Scope:
    """A request whose path begins otherwise."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    if not raw.startswith(old.encode()):
        return scope  # odd paths are refused later, as they are
    return {
        **scope,
        "path": f"{new}{path[len(old) :]}",
        "raw_path": new.encode() + raw[len(old) :],
    }
