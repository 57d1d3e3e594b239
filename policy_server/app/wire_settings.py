"""The settings that say how clients reach the server: TLS, proxies, pages of other origins."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from policy_server.app import setting_texts, wire_texts
from policy_server.app.setting import setting
from policy_server.errors import Fault
from policy_server.web.surroundings import Surroundings
from policy_server.web.tls import server_context

CERTIFICATE, KEY = "POLICY_SERVER_TLS_CERTIFICATE", "POLICY_SERVER_TLS_KEY"


@dataclass(frozen=True)
class WireSettings:
    """How clients reach the server."""

    host: str = setting("HOST", wire_texts.host, "127.0.0.1", "Address to listen on")
    port: int = setting(
        "PORT", setting_texts.count(0, 65_535), 8080, "Port to listen on; 0 takes a free one"
    )
    workers: int | None = setting(
        "WEB_CONCURRENCY",
        setting_texts.count(1, 1_000),
        None,
        "Processes that answer; not set: one for each processor that they may use",
    )
    connections: int = setting(
        "POLICY_SERVER_CONNECTIONS",
        setting_texts.count(8, 1_000_000),
        1_000,
        "Connections that each worker keeps open; beyond that, unused ones are closed first",
    )
    tls_certificate: Path | None = setting(
        CERTIFICATE,
        setting_texts.path,
        None,
        "File of the server's certificate and those that vouch for it, PEM; set: HTTPS is spoken",
    )
    tls_key: Path | None = setting(
        KEY, setting_texts.path, None, "File of the certificate's key, PEM, without a password"
    )
    cors_origins: tuple[str, ...] = setting(
        "POLICY_SERVER_CORS_ORIGINS",
        wire_texts.origins,
        (),
        "Origins of which pages may ask from a browser, separated by commas",
    )
    trusted_proxies: str = setting(
        "POLICY_SERVER_TRUSTED_PROXIES",
        wire_texts.proxies,
        "127.0.0.1,::1",
        "Addresses and networks of proxies whose `X-Forwarded-...` headers count",
    )
    prefix: str = setting(
        "POLICY_SERVER_PREFIX",
        wire_texts.prefix,
        "",
        "Path below which a proxy shows the server; `X-Forwarded-Prefix` comes first",
    )
    model_name: str = setting(
        "POLICY_SERVER_MODEL_NAME",
        wire_texts.model_name,
        "default",
        "How clients of inference servers call the policy: `/v2/models/NAME`, `/v1/models/NAME`",
    )
    documentation_url: str | None = setting(
        "POLICY_SERVER_DOCUMENTATION_URL",
        wire_texts.page,
        None,
        "Where people read about the policy; set: the Swagger UI leads there",
    )

    @property
    def scheme(self) -> str:
        """Of the server's own address."""
        return "http" if self.tls_certificate is None else "https"

    @property
    def address(self) -> str:
        """The host as addresses of the web have it: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"{self.scheme}://{self.address}:{self.port}"

    @property
    def surroundings(self) -> Surroundings:
        """What stands between clients and the server."""
        return Surroundings(
            origins=tuple(origin.encode() for origin in self.cors_origins),
            prefix=self.prefix,
            proxies=wire_texts.networks(self.trusted_proxies),
            model=self.model_name,
            documentation=self.documentation_url or "",
        )

    def wire_faults(self) -> list[Fault]:
        """What is wrong with certificate and key: they belong together, and must be readable."""
        certificate, key = self.tls_certificate, self.tls_key
        if certificate is None or key is None:
            missing = {CERTIFICATE: certificate, KEY: key}
            names = [name for name, path in missing.items() if path is None]
            return [Fault(name, "is wanted beside the other.") for name in names if len(names) == 1]
        try:
            server_context(certificate, key)
        except ssl.SSLError as error:
            detail = f"is not the key of {certificate}, or one of them is no PEM: {error.reason}."
            return [Fault(KEY, detail)]
        except OSError as error:
            where = CERTIFICATE if not certificate.is_file() else KEY
            return [Fault(where, f"cannot be read: {error.strerror}.")]
        return []
