"""An upload stages a version; it is compared, activated by one who was told what it replaces."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import gunicorn
from tests.support.visitor import Frontend, visitor

FEATURES, ACTIONS = 39, 5
"""Of the lpoc example."""


def test_from_a_staged_upload_to_comparison_activation_and_back(
    browser: Browser, front: Frontend, lpoc_instance: Path, tmp_path: Path
) -> None:
    model = tmp_path / "policy.onnx"
    model.write_bytes(linear_onnx(FEATURES, ACTIONS))
    with gunicorn(lpoc_instance) as server, visitor(browser, front) as guest:
        first = server.get("health/ready").json()["version"]
        guest.connect(server)
        guest.turn_to("Policy")
        guest.sees(f"Version {first} has golden cases")
        guest.hand_over("Model", model)
        guest.press("Upload the model")
        guest.sees("is proven and staged")
        listed = server.get("versions").json()
        assert listed["active"] == first
        second = listed["versions"][-1]["version"]
        guest.press("Compare with the active one")
        guest.press("Compare")
        guest.sees(f"First: {first}, second: {second}.")
        guest.turn_to("Policy")
        guest.press("Activate it")
        dialog = guest.page.get_by_role("dialog")
        assert serious(guest) == []
        for told in (first, second, "It has no golden cases; the active one has."):
            expect(dialog).to_contain_text(told)
        guest.press("Leave it")
        assert server.get("versions").json()["active"] == first
        guest.press("Activate it")
        guest.press("Activate")
        guest.sees(f"version {second} decides")
        assert server.get("versions").json()["active"] == second
        guest.press(f"Roll back to {first}")
        guest.sees(f"version {first} decides")
        assert server.get("versions").json()["active"] == first
