"""SDKs of a fake server, which needs no policy: for what has nothing to do with one."""

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
    info = requests.get(f"{url}/swagger.json", timeout=30).json()["info"]
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        answer = requests.get(f"{url}/clients/{language}", auth=CREDENTIALS, timeout=60)
        if answer.status_code == 200:
            break
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, "the SDKs take too long"
        time.sleep(0.5)
    unpack(answer.content, folder)
    return Sdk("faked", folder / language, Package.of(info["title"], info["version"]))
