"""Real observations in the form of Decide: where they come from, and what was decided before."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from policy_server.frontend.answers import Decision
from policy_server.frontend.real_observations import Recorded, golden_cases
from policy_server.frontend.service import Service
from tests.support.axe import serious
from tests.support.server import ROOT, Server
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, visitor

GOLDEN = "Golden cases of a version"
LOAD, FILES = "Observation to load", "CSV file, golden cases or log"


@pytest.fixture
def cases_file(tmp_path: Path) -> Path:
    """A golden case, and one whose recorded action is not what the policy decides."""
    text = (ROOT / "examples" / "lpoc" / "golden.jsonl").read_text(encoding="utf-8")
    right, other = map(json.loads, text.splitlines()[:2])
    other["actions"] = [(other["actions"][0] + 1) % 5]
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{json.dumps(right)}\n\n{json.dumps(other)}\n")
    return file


def test_what_is_loaded_says_where_it_comes_from_and_whether_the_decision_is_the_same(
    browser: Browser, front: Frontend, lpoc_server: Server, cases_file: Path, rows_file: Path
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.hand_over(FILES, cases_file)
        guest.choose(LOAD, "golden case in line 1 of cases.jsonl")
        guest.sees("From golden case in line 1 of cases.jsonl.")
        guest.sees("decides as recorded: ")
        guest.choose(LOAD, "golden case in line 3 of cases.jsonl")
        guest.sees("decides otherwise than recorded: ")
        assert serious(guest) == []
        guest.page.get_by_text("Most probable", exact=True).click()
        guest.settle()
        guest.press("Decide")
        guest.press("Random valid observation")
        assert guest.page.get_by_text("From golden case").count() == 0
        guest.hand_over(FILES, rows_file)
        guest.choose(LOAD, "line 4 of observations.csv")
        guest.sees("From line 4 of observations.csv.")
        assert guest.page.get_by_text("than recorded").count() == 0
        guest.page.get_by_text("Decided on in this visit", exact=True).click()
        guest.settle()
        guest.page.get_by_role("combobox", name=LOAD).click()
        guest.page.get_by_role("option", name="decision 1 of this visit").click()
        guest.settle()
        guest.sees("From decision 1 of this visit")
        guest.sees("decides as recorded: ")


def test_golden_cases_of_the_version_are_taken_without_the_file(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    version = lpoc_server.get("versions").json()["active"]
    told = f"64 golden cases of version {version}."
    with visitor(browser, front, viewport={"width": 1280, "height": 1500}) as guest:
        guest.connect(lpoc_server)
        guest.page.get_by_text(GOLDEN, exact=True).click()
        guest.settle()
        guest.sees(told)
        guest.choose(LOAD, f"golden case in line 1 of version {version}")
        guest.sees("decides as recorded: ")
        assert serious(guest) == []
        for view, control in {"Why": "Real observations", "Picture": "Real observations"}.items():
            guest.turn_to(view)
            guest.page.get_by_text(control, exact=True).first.click()
            guest.settle()
            guest.page.get_by_text(GOLDEN, exact=True).click()
            guest.settle()
            box = guest.page.get_by_role("combobox", name="Version whose golden cases are taken")
            expect(box).to_have_value(f"{version} (active)", timeout=WAIT_MILLISECONDS)


@pytest.mark.parametrize(
    ("actions", "taken", "same"),
    [
        ((2.0,), (2,), True),
        ((2.0,), (3,), False),
        ((10_000.0,), (10_001,), False),
        ((0.5004,), (0.5,), True),
        ((0.502,), (0.5,), False),
        ((1.0, 2.0), (1,), False),
    ],
)
def test_numbered_actions_are_the_same_exactly_and_real_ones_nearly(
    actions: tuple[float, ...], taken: tuple[float, ...], same: bool
) -> None:
    assert Recorded(actions).is_same(Decision(taken, (), None, None)) is same


@pytest.mark.parametrize(
    ("stated", "recorded"),
    [
        ({"action": 2}, Recorded((2,))),
        ({"actions": [1, 0.5]}, Recorded((1, 0.5))),
        ({"actions": []}, None),
        ({"action": "up"}, None),
        ({"action": True}, None),
        ({"action": float("nan")}, None),
        ({"actions": [10**400]}, None),
        ({}, None),
    ],
)
def test_of_a_golden_case_its_actions_are_what_is_recorded(
    lpoc_service: Service, stated: dict[str, object], recorded: Recorded | None
) -> None:
    line = json.dumps({"observation": lpoc_service.example(), **stated})
    (real,) = golden_cases("a.jsonl", line.encode(), lpoc_service).real
    assert real.recorded == recorded
    assert real.label == "golden case in line 1 of a.jsonl"
