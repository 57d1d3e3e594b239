"""What a visitor of the front-end does and sees, in the words of the page."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

from tests.support.browser import watched_page
from tests.support.server import PASSWORD, ROOT, USER, Server, environment, free_port

UP_SECONDS = 60.0
WAIT_MILLISECONDS = 120_000
"""Models are built meanwhile, on a machine that may be busy."""
UNSETTLED = """() => {
  const found = [];
  const state = document.querySelector('[data-testid=stApp]').dataset.testScriptState;
  if (state !== 'notRunning') found.push(`the script is ${state}`);
  const pending = '[data-stale=true], [data-testid=stStatusWidget], [data-testid^=stSkeleton]';
  for (const each of document.querySelectorAll(pending)) found.push(each.outerHTML.slice(0, 300));
  return found;
}"""
"""What the page is still doing. A part whose code is being loaded is a skeleton until then."""
SETTLED = f"""() => {{
  for (const each of document.getAnimations())
    if (each instanceof CSSTransition) each.finish();
  if (({UNSETTLED})().length) window.settledSince = undefined;
  else window.settledSince ??= performance.now();
  return performance.now() - window.settledSince > 300;
}}"""
"""Between two runs of its script a page is quiet for a moment, too. Nothing is left half faded."""


@dataclass
class Frontend:
    """A running front-end.

    Attributes:
        server_port: Free when it started; for the server that it starts.
    """

    process: "subprocess.Popen[bytes]"
    url: str
    server_port: int
    log: Path


@contextlib.contextmanager
def frontend(base_path: Path, **settings: str) -> Iterator[Frontend]:
    """Run `streamlit run frontend.py` until the block ends; its log may hold no stack trace."""
    port, server_port = free_port(), free_port()
    log = base_path.with_name(f"{base_path.name}-frontend.log")
    command = [str(Path(sys.executable).parent / "streamlit"), "run", "frontend.py"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--server.port={port}"],
            cwd=ROOT,
            env=environment(base_path, PORT=str(server_port), **settings),
            stdout=output,
            stderr=output,
        )
    try:
        _await_up(f"http://127.0.0.1:{port}", process, log)
        yield Frontend(process, f"http://127.0.0.1:{port}", server_port, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert "Traceback" not in log.read_text()


def _await_up(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/_stcore/health", timeout=5).ok:
                return
        time.sleep(0.05)
    raise AssertionError(f"the front-end did not come up: {log.read_text()}")


class Visitor:
    """Someone at the front-end's page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.goto(url)
        self.button("Connect").wait_for()
        self.settle()

    def settle(self) -> None:
        """Wait until the page has nothing left to do."""
        self.page.evaluate("window.settledSince = undefined")
        try:
            self.page.wait_for_function(SETTLED, polling=50)
        except TimeoutError as error:
            raise AssertionError(f"never done: {self.page.evaluate(UNSETTLED)}") from error
        assert self.page.locator("[data-testid=stException]").count() == 0

    def address(self, part: str) -> str:
        """The address of the page, once it has this part: a busy browser tells it late."""
        self.page.wait_for_url(lambda url: part in url, timeout=WAIT_MILLISECONDS)
        return self.page.url

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def press(self, name: str) -> None:
        self.button(name).click()
        self.settle()

    def field(self, name: str) -> Locator:
        return self.page.get_by_label(name, exact=True)

    def fill(self, name: str, text: str) -> None:
        self.field(name).fill(text)
        self.field(name).press("Tab")
        self.settle()

    def choose(self, name: str, option: str) -> None:
        """Choose from a select box."""
        box = self.page.get_by_role("combobox", name=name)
        box.scroll_into_view_if_needed()
        self.settle()  # an open list closes when the page scrolls, or is drawn anew
        box.click()
        self.page.get_by_role("option", name=option, exact=True).click()
        self.settle()

    def turn_to(self, view: str) -> None:
        self.page.get_by_role("tab", name=view, exact=True).click()
        self.settle()

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible(timeout=WAIT_MILLISECONDS)

    def hand_over(self, uploader: str, *files: Path) -> None:
        """Give files to the uploader that is called so."""
        place = self.page.locator("[data-testid=stFileUploader]", has_text=uploader).first
        place.locator("input[type=file]").set_input_files(list(files))
        for file in files:
            expect(place.get_by_text(file.name, exact=True).first).to_be_visible()
        self.settle()

    def connect(self, server: Server, password: str = PASSWORD) -> None:
        self.fill("Address", server.url)
        self.fill("User", USER)
        self.fill("Password", password)
        self.press("Connect")

    def start_server(self, port: int) -> None:
        self.fill("Port", str(port))
        self.press("Start the server")
        self.button("Server").wait_for()
        self.settle()

    def decision(self) -> str:
        """What stands large on the page."""
        return self.page.locator(".st-key-decision h2").inner_text()


@contextlib.contextmanager
def visitor(browser: Browser, front: Frontend, **options: object) -> Iterator[Visitor]:
    """A new visitor, whose page may not complain."""
    with watched_page(browser, **options) as page:
        yield Visitor(page, front.url)
