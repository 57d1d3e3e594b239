"""A real nginx for tests, which writes to one folder only."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import ROOT, free_port

MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


GIVEN = (ROOT / "deploy/nginx/policy-server.conf").read_text(encoding="utf-8")
HOST = "policy.example.com"


@dataclass(frozen=True)
class Site:
    """The shipped site on ports of 127.0.0.1.

    Attributes:
        command: What runs nginx with it.
        authority: The certificate by which its own is checked.
    """

    command: list[str]
    plain_port: int
    port: int
    authority: Path
    access_log: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


def make_certificates(folder: Path) -> None:
    """As `make certificates` does."""
    script = str(ROOT / "deploy/certificates.sh")
    names = ("localhost", "127.0.0.1", "::1", HOST)
    subprocess.run(["sh", script, str(folder), *names], check=True, capture_output=True)


def client_certificate(folder: Path) -> tuple[str, str]:
    """A certificate and its key by the authority of a folder."""
    commands = (
        "openssl req -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=robot-7 "
        "-keyout client-key.pem -out client-request.pem",
        "openssl x509 -req -in client-request.pem -CA authority.pem -CAkey authority-key.pem "
        "-set_serial 7 -out client.pem",
    )
    for command in commands:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return str(folder / "client.pem"), str(folder / "client-key.pem")


def shipped_site(folder: Path, server_port: int, changes: Mapping[str, str]) -> Site:
    """The shipped file, but for ports, paths and these changes, in front of a server."""
    plain_port, port = free_port(), free_port()
    make_certificates(folder)
    text = GIVEN
    for old, new in {
        **changes,
        "server 127.0.0.1:8080;": f"server 127.0.0.1:{server_port};",
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "/etc/ssl/policy-server": str(folder),
        "/var/log/nginx": str(folder),
    }.items():
        assert old in text, f"the shipped file has no {old}"
        text = text.replace(old, new)
    command = nginx_command(folder, text)
    test = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert test.returncode == 0, test.stderr
    assert "[warn]" not in test.stderr
    log = folder / "policy-server.log"
    return Site(command, plain_port, port, folder / "authority.pem", log)


def nginx_command(folder: Path, site: str) -> list[str]:
    """What runs nginx with the servers of `site`, of which it keeps all it needs in a folder."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, "nginx is not installed: make system-packages"
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "site.conf").write_text(site, encoding="utf-8")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user), encoding="utf-8")
    return [found, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
