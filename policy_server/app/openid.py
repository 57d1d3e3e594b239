"""The OpenID provider of the settings: its tokens, and where clients sign in."""

from pathlib import Path
from typing import TYPE_CHECKING

from policy_server.access.kept_metadata import KeptMetadata
from policy_server.app.openid_settings import OpenIdSettings
from policy_server.contract.sign_in import SignIn

if TYPE_CHECKING:
    from policy_server.access.token_source import TokenSource


def token_sources(settings: OpenIdSettings, base_path: Path) -> "list[TokenSource]":
    """What knows the provider's tokens; none where no provider is set."""
    rules = settings.token_rules
    if rules is None:
        return []
    # What proves tokens takes 15 MB of each worker.
    from policy_server.access.provider import Provider
    from policy_server.access.token_source import TokenSource

    provider = Provider(
        rules.issuer,
        settings.oidc_stale_seconds,
        insecure=settings.oidc_allow_http,
        learnt=_kept(rules.issuer, settings, base_path).save,
    )
    return [TokenSource(rules, provider)]


def sign_in(settings: OpenIdSettings, base_path: Path, *, certificates: bool) -> SignIn | None:
    """Where clients sign in: as settings say, else as the provider said, else as it says now.

    Args:
        settings: Of the provider.
        base_path: Where it is kept what the provider said.
        certificates: Those of clients are accepted too.
    """
    issuer = settings.oidc_issuer
    if issuer is None:
        return SignIn(certificates=True) if certificates else None
    authorization, token = settings.oidc_authorization_url, settings.oidc_token_url
    if authorization is None or token is None:
        said = _kept(issuer, settings, base_path).read_or_ask()
        if said is not None:
            authorization, token = authorization or said.authorization, token or said.token
    return SignIn(
        authorization or "",
        token or "",
        settings.scopes,
        settings.oidc_client_id or "",
        has_provider=True,
        certificates=certificates,
    )


def _kept(issuer: str, settings: OpenIdSettings, base_path: Path) -> KeptMetadata:
    return KeptMetadata(base_path, issuer, insecure=settings.oidc_allow_http)
