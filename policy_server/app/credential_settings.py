"""The settings that say who may ask, and as whom the command line asks others."""

from dataclasses import dataclass
from pathlib import Path

from policy_server.access.keys import read_keys
from policy_server.app import setting_texts
from policy_server.app.setting import setting


@dataclass(frozen=True)
class CredentialSettings:
    """Who may ask, and as whom the command line asks others."""

    user: str = setting(
        "POLICY_SERVER_USER", setting_texts.user, "policy", "The user who may do everything"
    )
    password: str | None = setting(
        "POLICY_SERVER_PASSWORD",
        str,
        None,
        "Their password; not set: generated once and kept in `BASE_PATH/credentials`",
    )
    password_file: Path | None = setting(
        "POLICY_SERVER_PASSWORD_FILE",
        setting_texts.secret_file,
        None,
        "A file with that password, instead; changes of it are followed",
    )
    api_keys: tuple[str, ...] = setting(
        "POLICY_SERVER_API_KEYS", read_keys, (), "Keys that may ask the policy, separated by commas"
    )
    api_keys_file: Path | None = setting(
        "POLICY_SERVER_API_KEYS_FILE",
        setting_texts.secret_file,
        None,
        "A file with such keys, a line each, instead; changes of it are followed",
    )
    client_certificates: tuple[tuple[str, str], ...] = setting(
        "POLICY_SERVER_CLIENT_CERTIFICATES",
        setting_texts.subjects,
        (),
        "Subjects of certificates that a trusted proxy has verified, each with its role: "
        "`CN=robot,O=plant: predict; CN=ops: manage`",
    )
    token: str | None = setting(
        "POLICY_SERVER_TOKEN",
        setting_texts.token,
        None,
        "A bearer token, or a key, with which `publish --url` asks, instead of user and password",
    )
    token_file: Path | None = setting(
        "POLICY_SERVER_TOKEN_FILE",
        setting_texts.secret_file,
        None,
        "A file with that token, instead",
    )
