"""The setting that says whose versions are taken."""

from dataclasses import dataclass

from policy_server.app import setting_texts
from policy_server.app.setting import setting


@dataclass(frozen=True)
class CopySettings:
    """Whose archives of versions are taken."""

    trusted_keys: tuple[str, ...] = setting(
        "POLICY_SERVER_TRUSTED_KEYS",
        setting_texts.fingerprints,
        (),
        "Servers whose versions are taken: what `policy-server fingerprint` prints there, "
        "separated by commas",
    )
