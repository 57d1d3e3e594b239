"""Debian's Chromium, and pages that may not complain nor ask any other host."""

import contextlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HERE = {"127.0.0.1", None, ""}


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS) as launched,
    ):
        yield launched


@contextlib.contextmanager
def watched_page(browser: Browser, **options: Any) -> Iterator[Page]:
    """A page; its console may show no error, and all that it asks for is on this machine."""
    context = browser.new_context(**options)
    page = context.new_page()
    complaints: list[str] = []
    hosts: set[str | None] = set()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    try:
        yield page
    finally:
        context.close()
    assert not complaints
    assert hosts <= HERE
