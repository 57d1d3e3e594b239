"""The settings of what the server tells of itself."""

from dataclasses import dataclass
from pathlib import Path

from policy_server.app import setting_texts
from policy_server.app.setting import setting


@dataclass(frozen=True)
class MetricsSettings:
    """What the server tells of itself, and whom."""

    metrics: bool = setting(
        "POLICY_SERVER_METRICS",
        setting_texts.boolean,
        True,
        "Count and measure, and answer at `/metrics`",
    )
    metrics_token: str | None = setting(
        "POLICY_SERVER_METRICS_TOKEN",
        setting_texts.shared_token,
        None,
        "Bearer token with which `/metrics` is asked; not set: only programs of this machine may",
    )
    metrics_token_file: Path | None = setting(
        "POLICY_SERVER_METRICS_TOKEN_FILE",
        setting_texts.secret_file,
        None,
        "A file with that token, instead; changes of it are followed",
    )
