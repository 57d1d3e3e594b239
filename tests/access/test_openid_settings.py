"""Which settings say which tokens are accepted; every fault of them at once."""

from pathlib import Path

import pytest

from policy_server.access.token_rules import DEFAULT_ALGORITHMS
from policy_server.app.openid_settings import BEGIN
from policy_server.app.settings import Settings, read_settings
from policy_server.contract.operations import Role
from policy_server.errors import ConfigurationError

ISSUER = "https://login.example/realms/factory"
NECESSARY = {"ISSUER": ISSUER, "AUDIENCE": "urn:policy"}


def settings_of(**given: str) -> Settings:
    environment = {f"{BEGIN}{name}": text for name, text in given.items()}
    return read_settings(environment=environment, dotenv_path=Path("/nonexistent"))


def test_without_a_provider_no_token_is_accepted() -> None:
    assert settings_of().token_rules is None


def test_issuer_and_audience_are_enough() -> None:
    rules = settings_of(**NECESSARY).token_rules
    assert rules is not None
    assert (rules.issuer, rules.audiences) == (ISSUER, ("urn:policy",))
    assert rules.algorithms == DEFAULT_ALGORITHMS
    assert not any(algorithm.startswith("HS") for algorithm in rules.algorithms)
    assert rules.roles.role({"scope": "openid manage"}) is Role.MANAGE


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ({}, {"predict": Role.PREDICT, "manage": Role.MANAGE}),
        (
            {"PREDICT": "ask, look", "MANAGE": "change"},
            {"ask": Role.PREDICT, "look": Role.PREDICT, "change": Role.MANAGE},
        ),
        ({"ROLES_CLAIM": "realm_access.roles"}, {"openid": Role.NONE}),
        (
            {"SCOPES": "api://id/Ask, predict"},
            {"api://id/Ask": Role.NONE, "predict": Role.PREDICT},
        ),
    ],
)
def test_a_sign_in_asks_for_scopes_that_give_roles(
    given: dict[str, str], scopes: dict[str, Role]
) -> None:
    assert settings_of(**NECESSARY, **given).scopes == scopes


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({"ISSUER": ISSUER}, ["AUDIENCE"]),
        ({"AUDIENCE": "urn:policy", "CLIENT_ID": "page"}, ["AUDIENCE", "CLIENT_ID"]),
        ({**NECESSARY, "ISSUER": "http://login.example"}, ["ISSUER"]),
        ({**NECESSARY, "ISSUER": "login.example"}, ["ISSUER"]),
        ({**NECESSARY, "ISSUER": "https://a:b@login.example"}, ["ISSUER"]),
        ({**NECESSARY, "TOKEN_URL": "http://login.example/token"}, ["TOKEN_URL"]),
        ({**NECESSARY, "ALGORITHMS": "RS256,HS256"}, ["ALGORITHMS"]),
        ({**NECESSARY, "ALGORITHMS": "none"}, ["ALGORITHMS"]),
        ({**NECESSARY, "LEEWAY_SECONDS": "3600"}, ["LEEWAY_SECONDS"]),
        (
            {"ISSUER": "x", "AUDIENCE": ",", "STALE_SECONDS": "no", "ALLOW_HTTP": "perhaps"},
            ["ISSUER", "AUDIENCE", "STALE_SECONDS", "ALLOW_HTTP"],
        ),
    ],
)
def test_every_fault_is_told_by_its_variable(given: dict[str, str], at: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_of(**given)
    assert [fault.place for fault in refused.value.faults] == [f"{BEGIN}{name}" for name in at]


def test_http_is_taken_where_somebody_says_so() -> None:
    given = {**NECESSARY, "ISSUER": "http://keycloak:8080/realms/factory", "ALLOW_HTTP": "true"}
    assert settings_of(**given).token_rules is not None
    assert settings_of(**{**NECESSARY, "ISSUER": "http://127.0.0.1:8080"}).token_rules is not None
