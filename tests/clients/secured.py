"""A service behind nginx with TLS of a private authority, which lets known certificates in alone.

Clients reach it through a forward proxy. Options of clients: `ca_file`, `certificate_file`,
`certificate_key_file`, `proxy`, and `headers` for all calls.
"""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.clients.conftest import Options
from tests.deploy.processes import wait_until
from tests.support.forward_proxy import ForwardProxy
from tests.support.nginx import client_certificate, make_certificates, nginx_command
from tests.support.server import PASSWORD, USER, free_port

SITE = """\
log_format secured "$ssl_client_s_dn|$http_x_tenant|$http_user_agent|$status";
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/fullchain.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_client_certificate {folder}/authority.pem;
    ssl_verify_client on;
    access_log {folder}/secured.log secured;
    location / {{ proxy_pass http://127.0.0.1:{server}; }}
}}
"""
TENANT = "tenant-7"
CLIENTS = ("secured", "untrusting", "unknown")
"""One that is given all, one that trusts no private authority, and one without a certificate."""


class Secured:
    """The site, the proxy before it, and what both saw."""

    def __init__(self, folder: Path, server_port: int) -> None:
        self._folder = folder
        self._port = free_port()
        self.proxy = ForwardProxy()
        make_certificates(folder)
        self._certificate, self._key = client_certificate(folder)
        site = SITE.format(folder=folder, port=self._port, server=server_port)
        self._command = nginx_command(folder, site)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def clients(self) -> Mapping[str, Options]:
        """The CLIENTS: name -> options."""
        asking = {
            "url": f"https://{self.address}/api",
            "user": USER,
            "password": PASSWORD,
            "proxy": self.proxy.url,
            "headers": {"X-Tenant": TENANT},
        }
        trusting = {**asking, "ca_file": str(self._folder / "authority.pem")}
        known = {"certificate_file": self._certificate, "certificate_key_file": self._key}
        options = ({**trusting, **known}, {**asking, **known}, trusting)
        return dict(zip(CLIENTS, options, strict=True))

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends."""
        process = subprocess.Popen(self._command)
        try:
            wait_until(lambda: (self._folder / "nginx.pid").exists())
            with self.proxy.serving():
                yield
        finally:
            process.terminate()
            process.wait(30)

    def seen(self) -> list[tuple[str, str, str, str]]:
        """Of each answer: the certificate's subject, X-Tenant, User-Agent, and the status."""
        lines = (self._folder / "secured.log").read_text(encoding="utf-8").splitlines()
        return [tuple(line.split("|")) for line in lines]  # type: ignore[misc]
