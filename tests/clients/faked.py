"""SDKs of one server in one language: for what has nothing to do with its policy."""

import time
from pathlib import Path

import requests

from policy_server.clients.names import Package
from policy_server.fake import PASSWORD, USER
from tests.clients.conftest import unpack
from tests.clients.toolchains import Sdk
from tests.support.server import ROOT

CREDENTIALS = (USER, PASSWORD)
SCHEMA = ROOT / "examples" / "lpoc" / "schema.yaml"
WAIT_SECONDS = 120.0


def faked_sdk(url: str, language: str, folder: Path) -> Sdk:
    """The SDK of a language that a fake server hands out, unpacked into a folder."""
    return handed_out(url, CREDENTIALS, language, folder)


def handed_out(url: str, credentials: tuple[str, str], language: str, folder: Path) -> Sdk:
    """The SDK of a language that a server hands out, unpacked into a folder."""
    info = requests.get(f"{url}/swagger.json", timeout=30).json()["info"]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        answer = requests.get(f"{url}/clients/{language}", auth=credentials, timeout=60)
        if answer.status_code == 200:
            break
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, "the SDKs take too long"
        time.sleep(0.5)
    unpack(answer.content, folder)
    return Sdk("policy", folder / language, Package.of(info["title"], info["version"]))
