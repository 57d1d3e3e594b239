"""Secrets of the settings: themselves or in files, never both, and none that anybody guesses."""

import asyncio
from pathlib import Path

import pytest

from policy_server.access.source import Credentials
from policy_server.app.credentials import check_secrets, create_authenticator, given_password
from policy_server.app.settings import Settings, read_settings
from policy_server.errors import ConfigurationError

WORD = "correct horse"
NOBODY = Path("/no/such/file")


def settings(
    base_path: Path, overrides: dict[str, object] | None = None, /, **given: str
) -> Settings:
    environment = {f"POLICY_SERVER_{name}": value for name, value in given.items()}
    return read_settings(overrides, {"BASE_PATH": str(base_path), **environment}, NOBODY)


def role(made: Settings, user: str, password: str) -> int:
    sent = Credentials("basic", user.encode(), password.encode())
    identity = asyncio.run(create_authenticator(made).identify(sent, "203.0.113.5"))
    return 0 if identity is None else identity.role


@pytest.mark.parametrize(
    "content", [WORD, f"{WORD}\n", f"{WORD}\r\n", f"\ufeff{WORD}\n", f"{WORD}\n\n"]
)
def test_a_file_holds_a_secret_however_it_was_written(tmp_path: Path, content: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content.encode())
    made = settings(tmp_path, PASSWORD_FILE=str(file))
    check_secrets(made)
    assert given_password(made) == WORD
    assert role(made, "policy", WORD) == 2
    assert role(made, "policy", content) == (2 if content == WORD else 0)
    assert WORD not in repr(made)


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(WORD)
    given = {"PASSWORD": WORD, "PASSWORD_FILE": str(file)}
    keys = {"API_KEYS": "x" * 16, "API_KEYS_FILE": str(file)}
    with pytest.raises(ConfigurationError) as refused:
        settings(tmp_path, **given, **keys)
    assert [each.place for each in refused.value.faults] == [
        "POLICY_SERVER_PASSWORD_FILE",
        "POLICY_SERVER_API_KEYS_FILE",
    ]
    assert WORD not in str(refused.value)
    said = settings(tmp_path, {"password": "of the command line"}, PASSWORD_FILE=str(file))
    assert given_password(said) == "of the command line"


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_file_that_holds_nothing_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_PASSWORD_FILE: is a file"):
        settings(tmp_path, PASSWORD_FILE=str(file))


@pytest.mark.parametrize("password", ["x", "sevenxx", "aaaaaaaaaaaa", "policyserver"])
def test_a_server_does_not_start_with_a_password_that_anybody_guesses(
    tmp_path: Path, password: str
) -> None:
    user = "PolicyServer"
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_PASSWORD:") as refused:
        check_secrets(settings(tmp_path, USER=user, PASSWORD=password))
    assert password not in str(refused.value)
    file = tmp_path / "password"
    file.write_text(password)
    with pytest.raises(ConfigurationError, match="POLICY_SERVER_PASSWORD_FILE:"):
        check_secrets(settings(tmp_path, USER=user, PASSWORD_FILE=str(file)))


def test_short_keys_in_a_file_are_refused_like_those_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("a-key-of-sixteen-characters\nshort\n")
    with pytest.raises(ConfigurationError, match=r"POLICY_SERVER_API_KEYS_FILE: .* 16 characters"):
        check_secrets(settings(tmp_path, API_KEYS_FILE=str(file)))
