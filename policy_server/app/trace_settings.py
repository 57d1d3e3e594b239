"""The settings that say where traces go: those that all programs with OpenTelemetry have."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from policy_server.app import setting_texts
from policy_server.app.setting import setting

TRACES_PATH = "/v1/traces"
"""Where a collector takes them, below its own address."""


def collector(text: str) -> str:
    """The address of a collector."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text or parts.username is not None:
        raise ValueError("is a URL such as http://127.0.0.1:4318, without user and password")
    return text


@dataclass(frozen=True)
class TraceSettings:
    """Where traces go."""

    otlp_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        collector,
        None,
        "Collector of OpenTelemetry that gets traces, over HTTP, below `/v1/traces`; not set: "
        "none are made",
    )
    otlp_traces_endpoint: str | None = setting(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        collector,
        None,
        "The whole address at which it takes traces, instead",
    )
    traces_disabled: bool = setting(
        "OTEL_SDK_DISABLED",
        setting_texts.boolean,
        False,
        "Make no traces, whatever else is set",
    )

    @property
    def traces_endpoint(self) -> str | None:
        """Where a collector takes traces; None where none are made."""
        if self.traces_disabled:
            return None
        below = self.otlp_endpoint and self.otlp_endpoint.rstrip("/") + TRACES_PATH
        return self.otlp_traces_endpoint or below or None
