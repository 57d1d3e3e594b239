"""The address carries what the page shows: to a page loaded anew, back, and by a link."""

import json
from typing import Any

from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from policy_server.frontend.service import Service
from tests.support.browser import watched_page
from tests.support.server import PASSWORD, USER, Server
from tests.support.visitor import Frontend, Visitor, visitor


def sent(guest: Visitor) -> Any:
    return json.loads(guest.page.locator("[data-testid=stCode]").first.inner_text())


def chooser(service: object) -> None:
    import streamlit as st  # the text of this function alone is run

    from policy_server.frontend import address

    address.choose("letter", ["a", "b"], "a")
    st.selectbox("Letter", ["a", "b"], key="letter")
    address.write(service)  # type: ignore[arg-type]


def test_an_address_of_a_moment_ago_undoes_nothing(certain_service: Service) -> None:
    app = AppTest.from_function(chooser, args=(certain_service,), default_timeout=60).run()
    app.selectbox[0].select("b").run()
    assert app.query_params["letter"] == "b"
    app.query_params["letter"] = "a"  # as a browser sends it that has not seen the new one
    app.run()
    assert app.selectbox[0].value == "b"
    assert app.query_params["letter"] == "b"
    assert not app.exception


def test_a_link_and_the_button_back_bring_the_same_again(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        example = sent(guest)
        guest.press("Random valid observation")
        drawn = sent(guest)
        assert drawn != example
        guest.page.go_back()
        guest.settle()
        assert sent(guest) == example
        guest.page.go_forward()
        guest.settle()
        assert sent(guest) == drawn
        guest.turn_to("Picture")
        guest.choose("Y axis", "none: lines over one field")
        link = guest.address("lines")
    assert "password" not in link.lower()
    assert PASSWORD not in link
    with watched_page(browser) as page:
        other = Visitor(page, link)
        expect(other.field("Address")).to_have_value(lpoc_server.url.removesuffix("/api"))
        expect(other.field("User")).to_have_value(USER)
        other.fill("Password", PASSWORD)
        other.press("Connect")
        expect(page.get_by_role("tab", name="Picture")).to_have_attribute("aria-selected", "true")
        expect(page.get_by_role("combobox", name="Y axis")).to_have_value(
            "none: lines over one field"
        )
        other.turn_to("Decide")
        assert sent(other) == drawn
        expect(other.field("Seed")).to_be_disabled()  # the most probable action has none
        # Another policy decides than when the link was made.
        page.goto(link.replace("version=", "version=0-"))
        other.settle()
        other.fill("Password", PASSWORD)
        other.press("Connect")
        other.sees("This link was made when version 0-")
