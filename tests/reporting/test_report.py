"""`report`: a page about a version that opens without a network, and holds what it says."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import chromium, watched_page
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import publish, run_command

SCHEMA = """observations:
  speed: {type: float, minimum: 0, maximum: 9, description: "Of the <script>alert(1)</script> car"}
  gear: {type: int, minimum: 0, maximum: 5}
  wet: {type: bool}
"""
MAPPER = "{0: brake & wait, 1: coast, 2: <b>push</b>}"
OBSERVATION = {"speed": 4.5, "gear": 2, "wet": True}


@dataclass
class Reported:
    """Versions of a BASE_PATH, the later one with its report."""

    base_path: Path
    first: str
    second: str
    file: Path
    output: str


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    folder = tmp_path_factory.mktemp("driver")
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "output_mapper.yaml").write_text(MAPPER)
    names = []
    for seed in (1, 2):
        (folder / "policy.onnx").write_bytes(linear_onnx(3, 3, seed=seed, output="logits"))
        logits = [4.5, 2.0, 1.0] @ linear_kernel(3, 3, seed=seed)
        case = {"observation": OBSERVATION, "distribution_inputs": logits.tolist()}
        (folder / "golden.jsonl").write_text(json.dumps(case) + "\n")
        base_path = publish(folder, folder / "instance")
        names.append((base_path / "active").read_text().strip())
    file = folder / "report.html"
    done = run_command("report", names[1], "--output", file, base_path=base_path)
    assert done.returncode == 0, done.stderr
    return Reported(base_path, names[0], names[1], file, done.stdout)


@pytest.fixture
def page(browser: Browser, reported: Reported) -> Iterator[Page]:
    """The report, with no network at all; its console may show no error."""
    with watched_page(browser, offline=True, viewport={"width": 1000, "height": 800}) as page:
        page.goto(reported.file.as_uri())
        yield page


def test_it_says_what_the_version_is_and_what_was_checked(page: Page, reported: Reported) -> None:
    assert reported.output == f"{reported.file} has the report about version {reported.second}.\n"
    text = page.locator("main").inner_text()
    assert f"Version {reported.second}, which decides now." in text
    assert "golden cases" in text
    assert "passed" in text
    assert "failed" not in text
    assert "Of the <script>alert(1)</script> car" in text
    assert page.locator("script").count() == 0


def test_it_explains_a_golden_case_and_ranks_the_fields(page: Page) -> None:
    text = page.locator("main").inner_text()
    assert "Golden case, line 1: " in text
    assert json.dumps(OBSERVATION) in text
    ranks = page.get_by_role("img", name="Fields by influence")
    assert {"speed", "gear", "wet"} <= {*ranks.locator("text").all_text_contents()}
    contributions = page.get_by_role("img", name="Contributions of fields").locator("text")
    assert sum("±" in each for each in contributions.all_text_contents()) == 3
    drawn = page.get_by_role("img", name="What is decided over")
    assert drawn.locator("rect").count() == 25 * 6  # gear has six values
    assert drawn.locator("title").first.text_content()


def test_it_is_compared_with_the_version_before(page: Page, reported: Reported) -> None:
    text = page.locator("main").inner_text()
    assert f"Compared with version {reported.first}" in text
    assert "of 501 observations" in text
    assert "brake & wait" in text
    assert page.get_by_role("columnheader", name=f"{reported.first} decides").count() == 1


def test_it_prints_and_fits_a_telephone(page: Page) -> None:
    assert page.pdf().startswith(b"%PDF")
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_the_first_version_has_none_before_it(reported: Reported, tmp_path: Path) -> None:
    file = tmp_path / "first.html"
    done = run_command("report", reported.first, "--output", file, base_path=reported.base_path)
    assert done.returncode == 0, done.stderr
    text = file.read_text(encoding="utf-8")
    assert "There is no version before it of the same schema to compare with." in text
    assert "which decides now" not in text


def test_what_cannot_be_written_or_is_not_there_is_said(reported: Reported, tmp_path: Path) -> None:
    nowhere = tmp_path
    done = run_command("report", "99-none", "--output", nowhere, base_path=reported.base_path)
    assert (done.returncode, "There is no" in done.stderr) == (2, True)
    done = run_command("report", reported.second, "--output", nowhere, base_path=reported.base_path)
    assert done.returncode != 0
    assert f"The report cannot be written to {nowhere}" in done.stderr
