"""The sources of credentials that the settings name."""

from pathlib import Path

from policy_server.access.authenticator import Authenticator
from policy_server.access.certificates import Certificates
from policy_server.access.failures import Failures
from policy_server.access.kept_credentials import KeptCredentials
from policy_server.access.keys import Keys, read_keys
from policy_server.access.passwords import LEAST_GIVEN_CHARACTERS, weakness
from policy_server.access.records import keys_file, users_file
from policy_server.access.secret_files import secret_in
from policy_server.access.shared_token import SharedToken
from policy_server.access.source import Credentials
from policy_server.access.users import Users
from policy_server.app.openid import token_sources
from policy_server.app.setting_texts import shared_token
from policy_server.app.settings import Settings
from policy_server.contract.operations import Role
from policy_server.errors import ConfigurationError, Fault

KEPT = "credentials"
"""Below BASE_PATH: the user and password that were made."""


def create_authenticator(settings: Settings) -> Authenticator:
    """Asks every source of credentials, in turn.

    Raises:
        ConfigurationError: The settings give a secret that anybody could guess, or no password
            can be kept.
    """
    check_secrets(settings)
    base, failures = settings.base_path, Failures()
    others = users_file(base)
    others.refresh()
    managed = any(record.role == "manage" for record in others.records.values())
    kept = KeptCredentials(
        settings.user,
        settings.password,
        base / KEPT,
        settings.password_file,
        needed=not managed,
    )
    users = Users(kept, others, failures)
    keys = Keys(settings.api_keys, settings.api_keys_file, keys_file(base))
    roles = {subject: Role[role.upper()] for subject, role in settings.client_certificates}
    certificates = Certificates(roles)
    tokens = token_sources(settings, base)  # the last, since they may ask their provider

    def describe(credentials: Credentials) -> str:
        for source in tokens:
            if source.has_refused(credentials):
                return source.describe(credentials)
        described = {"basic": users.describe, "certificate": certificates.describe}
        return described.get(credentials.scheme, keys.describe)(credentials)

    return Authenticator([users, keys, certificates, *tokens], failures, describe)


def metrics_readers(settings: Settings) -> Authenticator | None:
    """Knows the token with which metrics are asked; None where none is set."""
    token, file = settings.metrics_token, settings.metrics_token_file
    if token is None and file is None:
        return None
    return Authenticator([SharedToken("metrics", token, file)])


def check_secrets(settings: Settings) -> None:
    """Make sure that nobody guesses what the settings give as secrets.

    Raises:
        ConfigurationError: With every fault.
    """
    faults = []
    password = given_password(settings)
    if password is not None:
        wrong = weakness(password, settings.user, LEAST_GIVEN_CHARACTERS)
        if wrong is not None:
            name = "POLICY_SERVER_PASSWORD"
            faults.append(
                Fault(name if settings.password_file is None else f"{name}_FILE", f"{wrong}.")
            )
    if settings.api_keys_file is not None:
        try:
            read_keys(_secret(settings.api_keys_file) or "")
        except ValueError as error:
            faults.append(Fault("POLICY_SERVER_API_KEYS_FILE", f"{error} or lines."))
    if settings.metrics_token_file is not None:
        try:
            shared_token(_secret(settings.metrics_token_file) or "")
        except ValueError as error:
            faults.append(Fault("POLICY_SERVER_METRICS_TOKEN_FILE", f"{error}."))
    if faults:
        raise ConfigurationError("The settings cannot be used.", faults)


def given_password(settings: Settings) -> str | None:
    """The password that the settings give, themselves or by a file."""
    if settings.password_file is None:
        return settings.password
    return _secret(settings.password_file)


def given_token(settings: Settings) -> str | None:
    """The bearer token with which the settings ask other servers, themselves or by a file."""
    if settings.token_file is None or settings.token is not None:
        return settings.token
    return _secret(settings.token_file)


def _secret(path: Path) -> str | None:
    try:
        return secret_in(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
