"""By which credentials commands ask a server."""

from urllib.parse import urlsplit

from policy_server.app.credentials import KEPT, given_password, given_token
from policy_server.app.settings import Settings
from policy_server.errors import ConfigurationError, Fault

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def credentials_for(settings: Settings, url: str, by_name: bool) -> str | tuple[str, str]:
    """A token, or user and password, for a server; the generated ones never leave this machine.

    Args:
        settings: Have them.
        url: Of the server.
        by_name: User or password are wanted, as the command line says; a token does not count.
    """
    token = None if by_name else given_token(settings)
    if token is not None:
        return token
    kept, given = settings.base_path / KEPT, given_password(settings)
    if given is None and urlsplit(url).hostname in LOOPBACK and kept.is_file():
        user, _, password = kept.read_text(encoding="utf-8").strip().partition(":")
        return user, password
    if given is None:
        fault = Fault(
            "POLICY_SERVER_PASSWORD", f"{url} wants a password: set it, or --password; or --token."
        )
        raise ConfigurationError("The server cannot be asked.", [fault])
    return settings.user, given
