"""What people do in Swagger UI."""

from playwright.sync_api import Page

from tests.support.server import PASSWORD, USER


def sign_in(page: Page) -> None:
    """Authorize as the user who may do everything."""
    page.click("button.authorize")
    basic = page.locator(".auth-container", has_text="basic").first
    basic.locator("input").nth(0).fill(USER)
    basic.locator("input").nth(1).fill(PASSWORD)
    basic.locator("button.authorize").click()
    page.locator("button.btn-done").first.click()
