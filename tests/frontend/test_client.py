"""What the front-end makes of refusals."""

from collections.abc import Mapping

import pytest

from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.service import Service, open_service

MEANWHILE = "Another version was activated meanwhile"


def test_another_version_is_said_only_where_another_one_decides(certain_service: Service) -> None:
    client, observation = certain_service.client, certain_service.example()
    with pytest.raises(RequestFailed, match=MEANWHILE) as told:
        client.decide("predict", observation, "a-version-of-yesterday")
    assert told.value.status == 409
    version = client.decide("predict", observation).version
    assert client.decide("predict", observation, version).version == version


def test_every_other_conflict_is_said_as_the_server_says_it(certain_service: Service) -> None:
    client = certain_service.client
    version = client.decide("predict", certain_service.example()).version
    for asked in (None, version, "a-version-of-yesterday"):
        with pytest.raises(RequestFailed, match="has no golden cases") as told:
            client.decide("verify_version", {}, asked, path={"version": version})
        assert told.value.status == 409
        assert MEANWHILE not in str(told.value)


def test_what_is_typed_as_key_is_a_token_where_it_looks_like_one() -> None:
    key, token = Credentials.of("", "", "a-key-of-sixteen"), Credentials.of("", "", "ey.ey.sig")
    assert key.header == ("X-API-Key", "")
    assert token.header == ("Authorization", "Bearer ")
    assert Credentials.of("alice", "secret", "").header is None
    assert "sig" not in repr(token)


@pytest.mark.parametrize(("role", "may"), [("predict", False), ("manage", True)])
def test_what_a_key_may_its_role_says(
    certain_service: Service, keys_of_roles: Mapping[str, str], role: str, may: bool
) -> None:
    key = Credentials(key=keys_of_roles[role])
    assert open_service(Client(certain_service.client.url, key)).may_manage is may
    assert certain_service.may_manage
