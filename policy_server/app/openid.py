"""The OpenID provider of the settings: its tokens, and where clients sign in."""

from policy_server.access.kept_metadata import KeptMetadata
from policy_server.access.provider import Provider
from policy_server.access.token_source import TokenSource
from policy_server.app.settings import Settings
from policy_server.contract.sign_in import SignIn


def token_source(settings: Settings) -> TokenSource | None:
    """What knows the provider's tokens; None where no provider is set."""
    rules, kept = settings.token_rules, kept_metadata(settings)
    if rules is None or kept is None:
        return None
    provider = Provider(
        rules.issuer,
        settings.oidc_stale_seconds,
        insecure=settings.oidc_allow_http,
        learnt=kept.keep,
    )
    return TokenSource(rules, provider)


def kept_metadata(settings: Settings) -> KeptMetadata | None:
    """What the provider said of itself; None where no provider is set."""
    if settings.oidc_issuer is None:
        return None
    return KeptMetadata(
        settings.base_path, settings.oidc_issuer, insecure=settings.oidc_allow_http
    )


def sign_in(settings: Settings) -> SignIn | None:
    """Where clients sign in: as settings say, else as the provider said, else as it says now."""
    kept = kept_metadata(settings)
    if kept is None:
        return None
    authorization, token = settings.oidc_authorization_url, settings.oidc_token_url
    if authorization is None or token is None:
        said = kept.read_or_ask()
        if said is not None:
            authorization, token = authorization or said.authorization, token or said.token
    return SignIn(authorization or "", token or "", settings.scopes)
