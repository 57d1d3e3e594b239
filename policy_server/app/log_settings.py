"""The settings that say what the log tells, and how."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from policy_server.app import setting_texts
from policy_server.app.setting import given, setting
from policy_server.app.sources import variables_in
from policy_server.errors import ConfigurationError
from policy_server.logs.event import RENDERINGS, LogFormat
from policy_server.logs.process_log import LEVELS

FORMAT = "POLICY_SERVER_LOG_FORMAT"


@dataclass(frozen=True)
class LogSettings:
    """What the log tells, and how."""

    debug: bool = setting("DEBUG", setting_texts.boolean, False, "Log more, for developers")
    log_format: LogFormat = setting(
        FORMAT,
        setting_texts.one_of(*RENDERINGS),
        "text",
        "Form of every line of the log: text for people, json for programs",
    )
    log_level: str | None = setting(
        "POLICY_SERVER_LOG_LEVEL",
        setting_texts.one_of(*LEVELS),
        None,
        "The least that is logged; not set: `info`, and `debug` with `DEBUG`",
    )
    access_log: str = setting(
        "POLICY_SERVER_ACCESS_LOG",
        setting_texts.one_of("off", "errors", "sampled", "all"),
        "errors",
        "Which requests are logged: none, those with a status from 400 on, some of the others too, "
        "all; slow ones always are",
    )
    access_log_share: float = setting(
        "POLICY_SERVER_ACCESS_LOG_SHARE",
        setting_texts.fraction,
        0.01,
        "Which share of the requests `sampled` logs, beside those that failed",
    )
    slow_seconds: float = setting(
        "POLICY_SERVER_SLOW_SECONDS",
        setting_texts.seconds,
        1.0,
        "A request that took so long is logged, with the time of each of its stages",
    )
    log_observations: bool = setting(
        "POLICY_SERVER_LOG_OBSERVATIONS",
        setting_texts.boolean,
        False,
        "Log the body of each request for a decision that is logged: what clients observe is "
        "readable for all who read the log",
    )

    @property
    def level(self) -> str:
        """The least that our own loggers tell."""
        return self.log_level or ("debug" if self.debug else "info")


def format_of(
    environment: Mapping[str, str] = os.environ, dotenv_path: Path = Path(".env")
) -> LogFormat:
    """The form of lines before the settings are read, which may have faults to tell."""
    text = given(FORMAT, environment)[1]
    with contextlib.suppress(ConfigurationError):
        text = given(FORMAT, environment, variables_in(dotenv_path))[1]
    return cast(LogFormat, text) if text in RENDERINGS else "text"
