"""A version from its upload to production and back, all on the time line of the versions."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from policy_server.frontend.service import Service
from tests.support.axe import serious
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import Server, gunicorn, publish
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

SCHEMA = """observations:
  speed: {type: float, minimum: 0, maximum: 9}
  gear: {type: float, minimum: 0, maximum: 5}
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A linear policy of three actions."""
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(2, 3))
    with gunicorn(publish(tmp_path, tmp_path / "instance")) as running:
        yield running


def bundle(folder: Path) -> tuple[Path, Path]:
    """Another policy, with a golden case."""
    model, golden = folder / "other.onnx", folder / "golden.jsonl"
    model.write_bytes(linear_onnx(2, 3, seed=1))
    logits = [2.0, 3.0] @ linear_kernel(2, 3, 1)
    case = {
        "observation": {"speed": 2.0, "gear": 3.0},
        "distribution_inputs": [float(each) for each in logits],
    }
    golden.write_text(json.dumps(case) + "\n")
    return model, golden


def chosen(guest: Visitor, version: str) -> None:
    """The version that is looked at is this one, and the address holds it."""
    box = guest.page.get_by_role("combobox", name="Version to look at")
    expect(box).to_have_value(version, timeout=WAIT_MILLISECONDS)
    assert guest.address(f"versions%3Achosen={version}")


def agree(guest: Visitor, question: str, answer: str, *told: str) -> None:
    """Say yes in a dialog that tells all of this."""
    guest.press(question)
    dialog = guest.page.get_by_role("dialog")
    for each in told:
        expect(dialog).to_contain_text(each, timeout=WAIT_MILLISECONDS)
    guest.press(answer)
    expect(dialog).to_have_count(0, timeout=WAIT_MILLISECONDS)


def test_from_upload_over_the_time_line_into_production_and_back(
    browser: Browser, front: Frontend, server: Server, tmp_path: Path
) -> None:
    model, golden = bundle(tmp_path)
    first = server.get("versions").json()["active"]
    with visitor(browser, front, viewport={"width": 1280, "height": 1500}) as guest:
        guest.connect(server)
        guest.turn_to("Policy")
        chosen(guest, first)
        expect(guest.button("Delete it")).to_be_disabled()
        assert guest.button("Activate it").count() == 0
        guest.page.get_by_text("All parts at once").click()
        guest.settle()
        guest.hand_over("Model of the bundle", model)
        guest.hand_over("Golden cases of the bundle", golden)
        guest.press("Upload the bundle")
        guest.sees("is proven and staged")
        second = server.get("versions").json()["versions"][-1]["version"]
        chosen(guest, second)
        guest.sees("uploaded by tester")
        guest.sees(f"No worker decides with version {second}.")
        guest.page.get_by_text(f"Report of version {second}").click()
        guest.settle()
        report = guest.page.locator(".st-key-versions").get_by_text("golden cases:")
        expect(report.first).to_be_visible(timeout=WAIT_MILLISECONDS)
        guest.press("Verify it")
        guest.sees(f"Verified: the golden cases of version {second} agree.")
        assert serious(guest) == []
        guest.press("Compare with the active one")
        for box, version in (("First version", f"{first} (active)"), ("Second version", second)):
            shown = guest.page.get_by_role("combobox", name=box)
            expect(shown).to_have_value(version, timeout=WAIT_MILLISECONDS)
        guest.turn_to("Policy")
        agree(guest, "Activate it", "Activate", first, second)
        guest.sees(f"version {second} decides")
        guest.sees("activated by tester")
        chosen(guest, second)
        guest.press(f"Roll back to {first}")
        guest.sees(f"version {first} decides")
        assert server.get("versions").json()["active"] == first
        agree(guest, "Delete it", "Delete", second, "for good")
        chosen(guest, first)
        assert [each["version"] for each in server.get("versions").json()["versions"]] == [first]


def test_what_another_visitor_did_is_told_and_a_link_leads_to_the_version(
    browser: Browser, front: Frontend, server: Server
) -> None:
    first = server.get("versions").json()["active"]
    report = server.upload("model?activate=false", "model_file", linear_onnx(2, 3, seed=2))
    second = report.json()["version"]
    for version in (first, second):
        assert server.post(f"versions/{version}/activate", None).status_code == 200
    assert server.post("predict", {"speed": 1, "gear": 1}).ok
    with visitor(browser, front) as guest:
        guest.connect(server)
        guest.turn_to("Policy")
        guest.sees("Share of requests: of those that were decided, as the metrics count them")
        guest.press("Read again")
        guest.sees("Who did what: the audit log as of")
        # The audit log knows which one was active before.
        guest.button(f"Roll back to {first}").wait_for()
        guest.choose("Version to look at", second)
        guest.sees("activated by tester")
        link = guest.address(f"versions%3Achosen={second}")
    with visitor(browser, Frontend(front.process, link, 0, front.log)) as other:
        other.fill("Password", "a password of tests")
        other.press("Connect")
        chosen(other, second)
        other.sees(f"1 of 1 workers decide with version {second}")


def test_a_visitor_who_may_predict_is_told_what_decides_and_what_is_needed_for_more(
    browser: Browser, front: Frontend, certain_service: Service, keys_of_roles: Mapping[str, str]
) -> None:
    version = certain_service.client.get("versions").json()["active"]
    with visitor(browser, front) as guest:
        guest.fill("Address", certain_service.client.url)
        guest.fill("Key or token, instead of user and password", keys_of_roles["predict"])
        guest.press("Connect")
        guest.turn_to("Policy")
        guest.sees(f"Version {version} decides. The time line of the versions needs user and")
        assert guest.button("Activate it").count() == 0
        assert serious(guest) == []
