"""What came of Decide is said to screen readers: every time, in one sentence, as text alone."""

from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, expect

from policy_server.frontend.announcing import NOTHING, REGION, literal, sentence
from policy_server.frontend.answers import Decision
from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import gunicorn, publish
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

SCHEMA = "observations:\n  speed: {type: float, minimum: 0, maximum: 9}\n"
ATTACK = '</script><script>window.broken = 1</script><b onclick="x">\u2028"); window.broken = 2; //'
LISTEN = f"""() => {{
  window.heard = [];
  const region = document.getElementById("{REGION}");
  new MutationObserver(() => {{
    if (region.textContent) window.heard.push(region.textContent);
  }}).observe(region, {{childList: true, characterData: true, subtree: true}});
}}"""
"""What a screen reader hears: a change of the words, but not that there are none."""


def heard(guest: Visitor, count: int) -> list[str]:
    """What was said since the page was listened to, once that is so much."""
    guest.page.wait_for_function(f"window.heard.length >= {count}", timeout=WAIT_MILLISECONDS)
    found: list[str] = guest.page.evaluate("window.heard")
    return found


def test_every_decision_is_said_and_that_there_was_none(
    browser: Browser, front: Frontend, tmp_path: Path
) -> None:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(1, 2))
    mapper = yaml.safe_dump({0: ATTACK, 1: f"{ATTACK} too"})
    (tmp_path / "output_mapper.yaml").write_text(mapper)
    instance = publish(tmp_path, tmp_path / "instance")
    with visitor(browser, front) as guest:
        with gunicorn(instance) as server:
            guest.connect(server)
            region = guest.page.locator(f"#{REGION}")
            expect(region).to_have_attribute("role", "status")
            expect(region).to_have_attribute("aria-live", "polite")
            expect(region).to_have_text("")
            guest.page.evaluate(LISTEN)
            guest.page.get_by_text("Most probable", exact=True).click()
            guest.settle()
            guest.press("Decide")
            (first,) = heard(guest, 1)
            assert first.startswith(f"Decided: {' '.join(ATTACK.split())}")
            assert ", action " in first
            assert ", probability " in first
            assert first.endswith(f", by version {server.get('versions').json()['active']}.")
            guest.press("Decide")  # the same once more
            assert heard(guest, 2) == [first, first]
            # A view that is looked at again says nothing.
            guest.turn_to("Picture")
            guest.turn_to("Decide")
            guest.press("Decide")
            assert heard(guest, 3) == [first] * 3
            assert serious(guest) == []
            assert guest.page.evaluate("window.broken") is None
            assert guest.page.locator(f"#{REGION} *").count() == 0
        for times in (1, 2):
            guest.press("Decide")
            assert heard(guest, 3 + times)[3:] == [NOTHING] * times
        why = guest.page.get_by_role("alert").filter(has_text="No server answers at")
        expect(why.first).to_be_visible()


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (
            Decision((2,), ("move down",), "probability", 0.17),
            "Decided: move down, action 2, probability 17.0 %, by version 3.",
        ),
        (
            Decision((1, 0), ("go", "wait"), "probability", 0.5),
            "Decided: go and wait, actions 1, 0, probability 50.0 %, by version 3.",
        ),
        (Decision((0.25,), (), None, None), "Decided: action 0.25, by version 3."),
        (
            Decision((0.25,), (), "density", 1.5, {"heat": 20.5}),
            "Decided: heat 20.5 °C, action 0.25, density 1.5, by version 3.",
        ),
    ],
)
def test_a_decision_is_one_sentence(decision: Decision, said: str) -> None:
    assert sentence(decision, "3", {"heat": "°C"}) == said


def test_what_is_long_is_said_in_short() -> None:
    said = sentence(Decision((0,), ("on and\non " * 500,), None, None), "3", {})
    assert len(said) < 400
    assert "\n" not in said


def test_texts_of_others_end_neither_the_script_nor_its_strings() -> None:
    escaped = literal(ATTACK)
    assert escaped.isascii()
    assert not {*escaped} & {*"<>&"}
    assert escaped[1:-1].replace('\\"', "").count('"') == 0
