"""Two versions in a browser: a renamed meaning is no difference, on random and on real ones."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import ROOT, gunicorn
from tests.support.visitor import Frontend, Visitor, visitor

FEATURES, ACTIONS = 39, 5
"""Of the lpoc example."""


def share(guest: Visitor) -> float:
    return float(guest.page.locator("[data-testid=stMetricValue]").inner_text().removesuffix(" %"))


def load_a_point(guest: Visitor, first: str) -> None:
    """Load a point of the map of differences into the form."""
    drawn = guest.page.locator("[data-testid=stVegaLiteChart] svg.marks").nth(2)
    drawn.locator(".mark-rect.role-mark > path").first.click()
    guest.settle()
    guest.sees(f"At coordinates[0] 0, coordinates[1] 0: {first} ")
    guest.press("Load this point")
    guest.sees("The form of Decide has this point.")


def test_versions_are_compared_by_what_they_do(
    browser: Browser, front: Frontend, lpoc_instance: Path, rows_file: Path
) -> None:
    with gunicorn(lpoc_instance) as server, visitor(browser, front) as guest:
        mapper = (ROOT / "examples/lpoc/output_mapper.yaml").read_text()
        mapper = mapper.replace("move right", "go right")
        active = server.get("versions").json()["active"]
        called, other = (
            server.upload(f"{operation}?activate=false", name, content).json()["version"]
            for operation, name, content in (
                ("outputmapper", "output_mapper_file", mapper.encode()),
                ("model", "model_file", linear_onnx(FEATURES, ACTIONS)),
            )
        )
        guest.connect(server)
        guest.press("Decide")
        guest.turn_to("Compare")
        guest.choose("First version", f"{active} (active)")
        guest.choose("Second version", called)
        guest.press("Compare")
        guest.sees(f"Renamed: move right is called go right by {called}.")
        assert share(guest) == 0
        assert guest.page.get_by_text("Where they differ most").count() == 0
        guest.choose("Second version", other)
        guest.press("Compare")
        guest.sees("1,000 random valid observations of seed 0.")
        guest.sees("Who decides what")
        assert serious(guest) == []
        guest.sees("Where they differ most")
        once = share(guest)
        assert once > 0
        # Two maps side by side, and that of their differences.
        expect(guest.page.locator("[data-testid=stVegaLiteChart]")).to_have_count(3)
        load_a_point(guest, active)
        guest.press("Compare")
        assert share(guest) == once
        guest.page.get_by_text("Decided on in this visit", exact=True).click()
        guest.settle()
        guest.press("Compare")
        guest.sees("1 observation of this visit.")
        guest.page.get_by_text("Rows of a file", exact=True).click()
        guest.settle()
        guest.hand_over("CSV file to compare on", rows_file)
        guest.sees("Left out: 2 rows are not valid.")
        guest.press("Compare")
        guest.sees("2 rows of observations.csv.")
