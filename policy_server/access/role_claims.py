"""Which role the claims of a token give."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from policy_server.contract.operations import Role
from policy_server.contract.pointers import steps_of

DEFAULT_CLAIMS = ("scope", "scp")
"""What OAuth 2 and those before it call the scopes of a token."""


@dataclass(frozen=True)
class RoleClaims:
    """Where a token says what its client may do, and in which words.

    Attributes:
        claims: Each a name, a path with points (`realm_access.roles`) or a JSON pointer.
        predict: Scopes, roles or groups that may ask the policy.
        manage: Those that may also replace it.
    """

    claims: tuple[str, ...] = DEFAULT_CLAIMS
    predict: tuple[str, ...] = ("predict",)
    manage: tuple[str, ...] = ("manage",)

    def role(self, claims: Mapping[str, Any]) -> Role:
        """The highest role that claims give; NONE where they give none."""
        given = {word for claim in self.claims for word in _words(claims, claim)}
        if not given.isdisjoint(self.manage):
            return Role.MANAGE
        return Role.NONE if given.isdisjoint(self.predict) else Role.PREDICT


def _words(claims: Mapping[str, Any], claim: str) -> Iterable[str]:
    value = _value(claims, claim)
    if isinstance(value, str):
        return value.split(" ") if claim in DEFAULT_CLAIMS else [value]
    if isinstance(value, list):
        return [word for word in value if isinstance(word, str)]
    return []


def _value(claims: Mapping[str, Any], claim: str) -> Any:
    """What stands at a place; a name with points of its own (a URL, say) comes before a path."""
    if claim in claims:
        return claims[claim]
    steps = steps_of(claim) if claim.startswith("/") else claim.split(".")
    value: Any = claims
    for step in steps:
        if not isinstance(value, Mapping):
            return None
        value = value.get(step)
    return value
