"""The development server: one process, no workers."""

import functools
from pathlib import Path
from ssl import SSLContext

import uvicorn

from policy_server.app.settings import read_settings
from policy_server.web.adapters.fallbacks import http_protocol
from policy_server.web.descriptors import affordable
from policy_server.web.tls import HSTS, server_context
from policy_server.web.worker import WorkerApplication


def serve(app: WorkerApplication, host: str | None = None, port: int | None = None) -> None:
    """Run the development server.

    Args:
        app: The application.
        host: Address to listen on, instead of HOST.
        port: Port to listen on, instead of PORT.
    """
    settings = read_settings({"host": host, "port": port})
    print(f"Policy server on {settings.url}/api/ui/ (development server)")
    certificate, key = settings.tls_certificate, settings.tls_key
    tls = None
    if certificate is not None and key is not None:
        tls = functools.partial(_context, certificate, key)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=http_protocol(affordable(settings.connection_limits)),
        timeout_keep_alive=settings.keep_alive_seconds,
        lifespan="on",
        forwarded_allow_ips=settings.trusted_proxies,
        headers=[] if tls is None else [HSTS],
        ssl_context_factory=tls,
        log_config=None,  # as all others
        log_level="warning",
        access_log=False,
    )


def _context(certificate: Path, key: Path, *_: object) -> SSLContext:
    return server_context(certificate, key)
