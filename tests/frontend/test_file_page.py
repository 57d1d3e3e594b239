"""A file of observations in a browser: columns that are no fields, rejected rows, a seed."""

import csv
from pathlib import Path

from playwright.sync_api import Browser

from tests.support.axe import serious
from tests.support.server import Server
from tests.support.visitor import Frontend, Visitor, visitor

DECIDED = ["action", "meaning", "probability", "version", "schema"]


def download(guest: Visitor, name: str) -> list[dict[str, str]]:
    with guest.page.expect_download() as found:
        guest.button(name).click()
    return list(csv.DictReader(Path(found.value.path()).read_text().splitlines()))


def test_a_file_with_more_than_observations_is_decided_on(
    browser: Browser, front: Frontend, lpoc_server: Server, rows_file: Path
) -> None:
    header, *rows = rows_file.read_text().splitlines()
    named = [f"{row},{name}" for row, name in zip(rows, ["=a", "b", "c", "d"], strict=True)]
    rows_file.write_text("\n".join([f"{header},who", *named]))
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("File")
        guest.hand_over("CSV file of observations", rows_file)
        guest.sees("This column is no field of the schema: who.")
        assert guest.button("Decide on 2 rows").count() == 0
        guest.page.get_by_text("Ignore it", exact=True).click()
        guest.settle()
        guest.sees("2 rows are not valid and left out")
        rejected = download(guest, "Download the rejected rows")
        assert [(row["line"], row["who"]) for row in rejected] == [("3", "b"), ("5", "d")]
        guest.page.get_by_text("Sample", exact=True).click()
        guest.settle()
        guest.fill("Seed of the file", "7")
        guest.press("Decide on 2 rows")
        guest.sees("How often each decision was taken")
        assert serious(guest) == []
        first = download(guest, "Download the decisions")
        assert [*first[0]] == [*DECIDED, *header.split(","), "who"]
        assert [row["who"] for row in first] == ["'=a", "c"]
        # The same seed draws the same.
        guest.press("Decide on 2 rows")
        assert download(guest, "Download the decisions") == first
