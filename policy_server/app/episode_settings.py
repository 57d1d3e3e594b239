"""The settings of episodes: how long they last, and what signs their memory."""

from dataclasses import dataclass
from pathlib import Path

from policy_server.app import setting_texts
from policy_server.app.setting import setting


@dataclass(frozen=True)
class EpisodeSettings:
    """How long episodes last, and what signs their memory."""

    episode_seconds: int = setting(
        "POLICY_SERVER_EPISODE_SECONDS",
        setting_texts.count(1, 31_536_000),
        86_400,
        "How long an episode of `POST /step` may last; so long the version that began it is kept",
    )
    memory_key: str | None = setting(
        "POLICY_SERVER_MEMORY_KEY",
        setting_texts.signing_key,
        None,
        "What signs the memory of episodes, the same on all machines that answer; not set: "
        "generated once and kept in `BASE_PATH/memory_key`",
    )
    memory_key_file: Path | None = setting(
        "POLICY_SERVER_MEMORY_KEY_FILE",
        setting_texts.secret_file,
        None,
        "A file with that key, instead",
    )
