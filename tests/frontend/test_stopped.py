"""A front-end that has ended says so in its own words, on the page that is left."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.visitor import Visitor, frontend


def test_a_page_whose_front_end_has_ended_says_so(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    with frontend(tmp_path / "instance") as front:
        page = Visitor(context.new_page(), front.url).page
        front.process.terminate()
        front.process.wait(30)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("The front-end has stopped.", timeout=60_000)
        expect(dialog).to_contain_text("streamlit run frontend.py")
        expect(dialog).not_to_contain_text("internet")
    context.close()
