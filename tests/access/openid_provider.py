"""A real OpenID provider (the npm package oidc-provider) on this machine."""

import contextlib
import hashlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.access.signing import AUDIENCE, SigningKey, claims_of, rsa_key, signed
from tests.clients.toolchains import QUIET_NPM, run
from tests.support.kept import kept
from tests.support.server import free_port

SOURCES = Path(__file__).parent / "provider"
SCOPE, SECRET = "predict manage", "a-secret-of-sixteen-characters"
ACCOUNT = "alice"
START_SECONDS = 60.0


@dataclass
class OpenIdProvider:
    """A provider that runs in a process of its own.

    Attributes:
        folder: Of its files.
        redirects: To which it may send a browser back.
        keys: That it signs with, the first, and shows.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    redirects: list[str] = field(default_factory=list)
    keys: list[SigningKey] = field(default_factory=lambda: [rsa_key("first")])
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "provider.log"

    def start(self) -> None:
        """Run it, until it answers."""
        self._write_keys()
        configuration = self.folder / "configuration.json"
        configuration.write_text(json.dumps(self._configuration()))
        with self.log.open("ab") as log:
            command = ["node", "provider.mjs", str(configuration)]
            self.process = subprocess.Popen(command, cwd=installed(), stdout=log, stderr=log)
        self._await("ready")

    def stop(self) -> None:
        """End its process: nothing listens there any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self.log.write_text("")

    def rotate(self, *keys: SigningKey) -> None:
        """Sign with the first of other keys, and show all of these."""
        assert self.process is not None
        self.keys = list(keys)
        self._write_keys()
        turned = self.log.read_text().count("turned")
        self.process.send_signal(signal.SIGHUP)
        self._await("turned", turned + 1)

    def token(self, scope: str = "predict", client: str = "robot", **more: str) -> str:
        """A token by the flow of client credentials."""
        asked = {"grant_type": "client_credentials", "scope": scope, **more}
        answer = requests.post(
            f"{self.issuer}/token", asked, auth=(client, SECRET), timeout=START_SECONDS
        )
        assert answer.ok, answer.text
        return str(answer.json()["access_token"])

    def signed(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A token with claims of the test's own, signed by the provider's key."""
        return signed(self.keys[0], claims_of(self.issuer, **changes), header)

    def _write_keys(self) -> None:
        private = {"keys": [key.as_dict(private=True) for key in self.keys]}
        (self.folder / "keys.json").write_text(json.dumps(private))

    def _configuration(self) -> dict[str, Any]:
        robot = {
            "client_id": "robot",
            "client_secret": SECRET,
            "grant_types": ["client_credentials"],
            "redirect_uris": [],
            "response_types": [],
        }
        page = {
            "client_id": "page",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
            "redirect_uris": self.redirects,
            "response_types": ["code"],
            "application_type": "native",
        }
        return {
            "issuer": self.issuer,
            "port": self.port,
            "keys": str(self.folder / "keys.json"),
            "audience": AUDIENCE,
            "scope": SCOPE,
            "seconds": 300,
            "algorithm": "RS256",
            "account": ACCOUNT,
            "clients": [robot, page] if self.redirects else [robot],
        }

    def _await(self, word: str, times: int = 1) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.log.read_text().count(word) < times:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)


@contextlib.contextmanager
def openid_provider(folder: Path, redirects: list[str] | None = None) -> Iterator[OpenIdProvider]:
    """A provider until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    provider = OpenIdProvider(folder, redirects=redirects or [])
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def installed() -> Path:
    """The folder of the provider and its packages, outside of the checkout."""
    texts = [path.read_bytes() for path in sorted(SOURCES.iterdir())]

    def install(made: Path) -> None:
        shutil.copytree(SOURCES, made, dirs_exist_ok=True)
        run(["npm", "ci", "--ignore-scripts", *QUIET_NPM], made)

    return kept(f"openid-provider-{hashlib.sha256(b''.join(texts)).hexdigest()[:16]}", install)
