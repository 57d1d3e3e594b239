"""A whole policy uploaded in one step."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser

from tests.support.axe import serious
from tests.support.server import ROOT, gunicorn
from tests.support.visitor import Frontend, visitor

EXAMPLE = ROOT / "examples" / "lpoc"
REVERSED = """

in_order = preprocess


def preprocess(observation):
    return list(in_order(observation))[::-1]
"""


def observation_of(url: str) -> object:
    """That an address holds; None where it has none."""
    return json.loads(parse_qs(urlsplit(url).query).get("observation", ["null"])[0])


def test_a_bundle_is_replayed_and_refused_or_active_as_a_whole(
    browser: Browser, front: Frontend, lpoc_instance: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "reversed.py"
    wrong.write_text((EXAMPLE / "preprocessor.py").read_text() + REVERSED)
    mapper = tmp_path / "output_mapper.yaml"
    given = (EXAMPLE / "output_mapper.yaml").read_text()
    mapper.write_text(given.replace("move right", "go right"))
    with visitor(browser, front) as guest, gunicorn(lpoc_instance) as server:
        before = server.get("health/ready").json()["version"]
        guest.connect(server)
        guest.turn_to("Policy")
        guest.page.get_by_text("All parts at once", exact=True).click()
        guest.settle()
        guest.hand_over("Model of the bundle", EXAMPLE / "saved_model.zip")
        guest.hand_over("Preprocessor of the bundle", wrong)
        guest.hand_over("Output mapper of the bundle", mapper)
        guest.hand_over("Golden cases of the bundle", EXAMPLE / "golden.jsonl")
        guest.press("Upload the bundle")
        guest.sees("disagree with what was recorded")
        guest.sees("differences in")
        guest.choose("What differs", "features")
        guest.fill("Find a case or a field", "line 3")
        assert serious(guest) == []
        guest.press("Load into the form")
        guest.sees("The form of Decide has the observation of line 3")
        assert server.get("health/ready").json()["version"] == before
        asked = json.loads((EXAMPLE / "golden.jsonl").read_text().splitlines()[2])["observation"]
        guest.page.wait_for_url(lambda url: observation_of(url) == asked)
        guest.hand_over("Preprocessor of the bundle", EXAMPLE / "preprocessor.py")
        guest.press("Upload the bundle")
        guest.sees("is proven and staged")
        assert server.get("health/ready").json()["version"] == before
        guest.press("Activate it")
        guest.press("Activate")
        staged = server.get("versions").json()["versions"][-1]["version"]
        guest.sees(f"version {staged} decides")
        guest.turn_to("Decide")
        guest.press("Decide")
        guest.sees("go right")
