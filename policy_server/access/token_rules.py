"""Which access tokens are accepted: the words of settings, without what proves tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from policy_server.access.role_claims import RoleClaims

ALGORITHMS: Mapping[str, tuple[str, str | None]] = {
    **{f"{name}{size}": ("RSA", None) for name in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "Ed25519": ("OKP", "Ed25519"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithm -> type and curve of its keys. All have a private and a public key: who could check a
token with a shared secret could also make one."""
DEFAULT_ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
LEEWAY_SECONDS = 30


@dataclass(frozen=True)
class TokenRules:
    """Which tokens are accepted, and what they allow.

    Attributes:
        issuer: Who must have made them.
        audiences: For one of which they must be meant.
        algorithms: One of which must have signed them.
        leeway_seconds: By how much the clocks of provider and server may differ.
        roles: Where they say what their client may do.
    """

    issuer: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    leeway_seconds: int = LEEWAY_SECONDS
    roles: RoleClaims = field(default_factory=RoleClaims)
