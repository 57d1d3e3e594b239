"""The SDKs on the page: what is downloaded has the example that is shown, and it decides."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.sdks import LANGUAGES, fetch_sdk, read_sdk, settings
from policy_server.frontend.service import Service
from tests.support.axe import serious
from tests.support.server import PASSWORD, Server
from tests.support.visitor import Frontend, visitor

SET = "export POLICY_URL='http://h/a b/api'\nexport POLICY_"


def test_each_language_has_its_example(lpoc_service: Service) -> None:
    for language in LANGUAGES.values():
        sdk = fetch_sdk(lpoc_service.client, language)
        with zipfile.ZipFile(io.BytesIO(sdk.content)) as archive:
            assert archive.read(sdk.file).decode() == sdk.example
        assert "POLICY_URL" in sdk.example


def test_what_is_no_sdk_is_refused() -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    for content in (b"", b"<html>", empty.getvalue()):
        with pytest.raises(RequestFailed, match="not with an SDK"):
            read_sdk(content)


@pytest.mark.parametrize(
    ("who", "lines"),
    [
        (Credentials("a b", "secret"), f"{SET}USER='a b'\nexport POLICY_PASSWORD='...'"),
        (Credentials(key="secret"), f"{SET}KEY='...'"),
        (Credentials(token="secret"), f"{SET}TOKEN='...'"),
    ],
)
def test_settings_have_no_secret(who: Credentials, lines: str) -> None:
    assert settings(Client("http://h/a b", who)) == lines


def test_an_sdk_from_the_page_decides_on_the_observation_of_the_form(
    browser: Browser, front: Frontend, lpoc_server: Server, tmp_path: Path
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.page.get_by_text("SDKs: a client of your own for this API").click()
        guest.settle()
        guest.press("Fetch the SDK")
        guest.sees("asks for a decision on it")
        assert serious(guest) == []
        with guest.page.expect_download() as found:
            guest.button("Download the SDK for Python").click()
        *_, observation, example = guest.page.locator("[data-testid=stCode]").all_inner_texts()
        with zipfile.ZipFile(found.value.path()) as archive:
            archive.extractall(tmp_path)
    (file,) = tmp_path.rglob("example.py")
    assert file.read_text().split() == example.split()
    file.with_name("example.json").write_text(observation)
    done = subprocess.run(
        [sys.executable, file.name],
        cwd=file.parent,
        env={
            **os.environ,
            "POLICY_URL": lpoc_server.url,
            "POLICY_USER": "tester",
            "POLICY_PASSWORD": PASSWORD,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["meaning"]
