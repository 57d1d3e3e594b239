"""Takes the README's pictures from the running thing: `make screenshots`.

It also prints how long a visitor waits; docs/frontend.md has these figures.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, ViewportSize

from tests.support.browser import chromium, watched_page
from tests.support.server import ROOT, Server, gunicorn, run_command
from tests.support.visitor import Frontend, Visitor, frontend, visitor

TARGET = ROOT / "assets" / "screenshots"
WINDOW: ViewportSize = {"width": 1280, "height": 860}
TALL: ViewportSize = {"width": 1280, "height": 1010}
ROUNDS = 7


def take() -> None:
    """Take every picture and print how long things took."""
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        lpoc, warm = prepared(folder, "lpoc", "LPOC"), prepared(folder, "thermostat", "Thermostat")
        with (
            frontend(folder / "instance") as front,
            gunicorn(lpoc) as server,
            gunicorn(warm) as other,
        ):
            first_paint(browser, front)
            decisions(browser, front, server)
            pictures(browser, front, server, other)
            swagger_ui(browser, server)


def prepared(folder: Path, example: str, title: str) -> Path:
    """A BASE_PATH in which an example decides."""
    base_path, given = folder / example, ROOT / "examples" / example
    steps: list[list[str | Path]] = [["schema", given / "schema.yaml", f"--title={title}"]]
    steps.append(["publish", given])
    for arguments in steps:
        done = run_command(*arguments, base_path=base_path)
        assert done.returncode == 0, done.stderr
    return base_path


def first_paint(browser: Browser, front: Frontend) -> None:
    """How long until a visitor sees the first page; the first of all waits longest."""
    seconds = []
    for _ in range(ROUNDS):
        with watched_page(browser, viewport=WINDOW) as page:
            begin = page.get_by_role("button", name="Connect", exact=True)
            seconds.append(timed(partial(page.goto, front.url), begin))
    print(f"first paint: {seconds[0]:.2f} s for the first visitor of all")
    tell("first paint, later visitors", seconds[1:])


def decisions(browser: Browser, front: Frontend, server: Server) -> None:
    """The first page and a decision."""
    with visitor(browser, front, viewport=WINDOW) as guest:
        keep(guest.page, "start")
        guest.connect(server)
        seconds = []
        for _ in range(ROUNDS):
            guest.press("Random valid observation")
            shown = guest.page.locator(".st-key-decision h2")
            seconds.append(timed(guest.button("Decide").click, shown))
            guest.settle()
        tell("a decision, from the click until it shows", seconds)
        guest.press("Example")
        guest.press("Decide")
        guest.page.set_viewport_size(TALL)
        guest.settle()
        keep(guest.page, "decide")


def pictures(browser: Browser, front: Frontend, server: Server, other: Server) -> None:
    """A map of actions, and one of continuous actions in the dark."""
    with visitor(browser, front, viewport=TALL) as guest:
        guest.connect(server)
        guest.turn_to("Picture")
        draw(guest)
        keep(guest.page, "picture")
    seconds = []
    for _ in range(3):
        with visitor(browser, front, viewport=TALL, color_scheme="dark") as guest:
            guest.connect(other)
            guest.turn_to("Picture")
            guest.page.get_by_role("slider", name="Points a side").press("End")
            guest.settle()
            seconds.append(draw(guest))
            keep(guest.page, "heat")
    tell("10,000 points, from the click until they show", seconds)


def draw(guest: Visitor) -> float:
    """Draw the picture; seconds until it shows."""
    said = guest.page.get_by_text("The ring is the observation")
    seconds = timed(guest.button("Draw the picture").click, said)
    guest.settle()
    guest.page.wait_for_timeout(1000)  # the chart moves into place
    return seconds


def swagger_ui(browser: Browser, server: Server) -> None:
    """The server's own page."""
    with watched_page(browser, viewport=WINDOW) as page:
        page.goto(f"{server.url}/ui/")
        page.locator(".opblock.is-open").wait_for()
        keep(page, "swagger-ui")


def timed(act: Callable[[], object], appears: Locator) -> float:
    """Seconds from an act until what it brings is there."""
    start = time.monotonic()
    act()
    appears.first.wait_for()
    return time.monotonic() - start


def tell(what: str, seconds: list[float]) -> None:
    """Print a median."""
    print(f"{what}: {statistics.median(seconds):.2f} s, the median of {len(seconds)}")


def keep(page: Page, name: str) -> None:
    """Keep what the page shows."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)
    page.screenshot(path=TARGET / f"{name}.png")


if __name__ == "__main__":
    take()
