"""What keeps people out of a page, as axe finds it."""

from axe_playwright_python.sync_playwright import Axe

from tests.support.visitor import Visitor


def serious(guest: Visitor) -> list[str]:
    """What axe finds that keeps people out."""
    guest.page.mouse.move(0, 0)  # help that fades in over a button is no finding
    guest.settle()
    found = Axe().run(guest.page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:200]}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
