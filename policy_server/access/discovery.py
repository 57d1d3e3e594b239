"""What an OpenID provider says of itself: where its keys are, and where people sign in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from policy_server.access.documents import address_fault, fetch
from policy_server.errors import ProviderUnavailable

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True)
class ProviderMetadata:
    """What is used of a provider's metadata.

    Attributes:
        issuer: What it calls itself.
        keys: Where its keys are.
        authorization: Where people sign in; empty where they cannot.
        token: Where a code or credentials become a token; empty where it has no such place.
    """

    issuer: str
    keys: str
    authorization: str = ""
    token: str = ""


def metadata_addresses(issuer: str) -> list[str]:
    """Where the metadata of an issuer may be: of OpenID Connect, then of OAuth 2 (RFC 8414)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return [
        urlunsplit(parts._replace(path=path + OPENID, query="")),
        urlunsplit(parts._replace(path=OAUTH + path, query="")),
    ]


async def discover(issuer: str, *, insecure: bool = False) -> ProviderMetadata:
    """Ask a provider for its metadata.

    Args:
        issuer: What it calls itself, to the letter.
        insecure: Take `http` from other machines too.

    Raises:
        ProviderUnavailable: It is not there under any of its addresses, or calls itself otherwise.
    """
    reasons = []
    for address in metadata_addresses(issuer):
        try:
            return read_metadata(await fetch(address, insecure=insecure), issuer, insecure)
        except ProviderUnavailable as error:
            reasons.append(str(error))
    raise ProviderUnavailable("; ".join(reasons))


def read_metadata(document: Mapping[str, Any], issuer: str, insecure: bool) -> ProviderMetadata:
    """Read a provider's metadata.

    Raises:
        ProviderUnavailable: They are those of another issuer, or name no place of keys that may
            be asked.
    """
    named = document.get("issuer")
    if named != issuer:
        raise ProviderUnavailable(
            f"the provider calls itself {named!r:.200}, not {issuer!r}: the setting "
            "POLICY_SERVER_OIDC_ISSUER must be the same to the letter"
        )
    keys = document.get("jwks_uri")
    if not isinstance(keys, str) or address_fault(keys, insecure=insecure) is not None:
        raise ProviderUnavailable(f"the provider's keys are at {keys!r:.200}, which is not asked")
    places = [document.get(f"{name}_endpoint") for name in ("authorization", "token")]
    usable = [
        place if isinstance(place, str) and address_fault(place, insecure=insecure) is None else ""
        for place in places
    ]
    return ProviderMetadata(issuer, keys, *usable)
