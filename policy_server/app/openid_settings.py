"""The settings that say which OpenID provider's tokens are accepted, and what they allow."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields

from policy_server.access.documents import address_fault
from policy_server.access.role_claims import DEFAULT_CLAIMS, RoleClaims
from policy_server.access.token_rules import DEFAULT_ALGORITHMS, LEEWAY_SECONDS, TokenRules
from policy_server.app import openid_texts, setting_texts
from policy_server.app.setting import setting
from policy_server.contract.operations import Role
from policy_server.errors import Fault

BEGIN = "POLICY_SERVER_OIDC_"


@dataclass(frozen=True)
class OpenIdSettings:
    """Which OpenID provider's tokens are accepted, and what they allow."""

    oidc_issuer: str | None = setting(
        f"{BEGIN}ISSUER",
        openid_texts.address,
        None,
        "What an OpenID provider calls itself, to the letter; set: its access tokens are accepted",
    )
    oidc_audience: tuple[str, ...] = setting(
        f"{BEGIN}AUDIENCE",
        openid_texts.words("audiences"),
        (),
        "What tokens must be meant for (`aud`), one of these",
    )
    oidc_algorithms: tuple[str, ...] = setting(
        f"{BEGIN}ALGORITHMS",
        openid_texts.algorithms,
        (),
        f"What may have signed them; not set: {', '.join(DEFAULT_ALGORITHMS)}",
    )
    oidc_leeway_seconds: int = setting(
        f"{BEGIN}LEEWAY_SECONDS",
        setting_texts.count(0, 300),
        LEEWAY_SECONDS,
        "By how much the clocks of provider and server may differ",
    )
    oidc_stale_seconds: int = setting(
        f"{BEGIN}STALE_SECONDS",
        setting_texts.count(600, 604_800),
        14_400,
        "How long the provider's keys are used on while it cannot be asked for them",
    )
    oidc_roles_claim: tuple[str, ...] = setting(
        f"{BEGIN}ROLES_CLAIM",
        openid_texts.words("claims such as realm_access.roles"),
        (),
        f"Where tokens say what they allow; not set: {' and '.join(DEFAULT_CLAIMS)}",
    )
    oidc_predict: tuple[str, ...] = setting(
        f"{BEGIN}PREDICT",
        openid_texts.words("scopes, roles or groups"),
        (),
        "Which of these may ask the policy; not set: `predict`",
    )
    oidc_manage: tuple[str, ...] = setting(
        f"{BEGIN}MANAGE",
        openid_texts.words("scopes, roles or groups"),
        (),
        "Which of these may do everything; not set: `manage`",
    )
    oidc_client_id: str | None = setting(
        f"{BEGIN}CLIENT_ID",
        openid_texts.client_id,
        None,
        "Name of the Swagger UI at the provider: a public client, with PKCE",
    )
    oidc_scopes: tuple[str, ...] = setting(
        f"{BEGIN}SCOPES",
        openid_texts.words("scopes"),
        (),
        "What the Swagger UI asks for; not set: the scopes that allow something, else `openid`",
    )
    oidc_authorization_url: str | None = setting(
        f"{BEGIN}AUTHORIZATION_URL",
        openid_texts.address,
        None,
        "Where people sign in; not set: the provider is asked",
    )
    oidc_token_url: str | None = setting(
        f"{BEGIN}TOKEN_URL",
        openid_texts.address,
        None,
        "Where clients get tokens; not set: the provider is asked",
    )
    oidc_allow_http: bool = setting(
        f"{BEGIN}ALLOW_HTTP",
        setting_texts.boolean,
        False,
        "Take `http://` for a provider on another machine: who stands between can sign tokens",
    )

    @property
    def token_rules(self) -> TokenRules | None:
        """Which tokens are accepted; None where no provider is set."""
        if self.oidc_issuer is None:
            return None
        return TokenRules(
            self.oidc_issuer,
            self.oidc_audience,
            self.oidc_algorithms or DEFAULT_ALGORITHMS,
            self.oidc_leeway_seconds,
            self.role_claims,
        )

    @property
    def role_claims(self) -> RoleClaims:
        """Where tokens say what they allow, and in which words."""
        usual = RoleClaims()
        return RoleClaims(
            self.oidc_roles_claim or usual.claims,
            self.oidc_predict or usual.predict,
            self.oidc_manage or usual.manage,
        )

    @property
    def scopes(self) -> dict[str, Role]:
        """The scopes to ask for at a sign-in, each with the role that it gives; NONE for others."""
        claims = self.role_claims
        giving = dict.fromkeys(claims.predict, Role.PREDICT)
        giving |= dict.fromkeys(claims.manage, Role.MANAGE)
        if self.oidc_scopes:
            return {scope: giving.get(scope, Role.NONE) for scope in self.oidc_scopes}
        given_by_scope = not set(claims.claims).isdisjoint(DEFAULT_CLAIMS)
        return giving if given_by_scope else {"openid": Role.NONE}

    def openid_faults(self, unreadable: Collection[str]) -> list[Fault]:
        """What is wrong with these settings together, beside those that could not be read."""
        return [fault for fault in self._faults(unreadable) if fault.place not in unreadable]

    def _faults(self, unreadable: Collection[str]) -> Iterator[Fault]:
        if f"{BEGIN}ISSUER" in unreadable:
            return
        ours = {each.metadata["name"]: each for each in fields(OpenIdSettings)}
        given = {name: getattr(self, each.name) for name, each in ours.items()}
        if self.oidc_issuer is None:
            for name, value in given.items():
                if value != ours[name].default:
                    yield Fault(name, f"is of no use without {BEGIN}ISSUER.")
            return
        if not self.oidc_audience:
            detail = "is wanted: without it, tokens for others that use the provider would do."
            yield Fault(f"{BEGIN}AUDIENCE", detail)
        for end in ("ISSUER", "AUTHORIZATION_URL", "TOKEN_URL"):
            name = f"{BEGIN}{end}"
            fault = given[name] and address_fault(given[name], insecure=self.oidc_allow_http)
            if fault:
                yield Fault(name, f"{fault}, or with {BEGIN}ALLOW_HTTP=true.")
