"""A service without observations, as a visitor's browser shows it."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.support.networks import linear_onnx
from tests.support.server import gunicorn, publish
from tests.support.visitor import Frontend, visitor

SCHEMA = "actions:\n  trade: {type: str, enum: [buy, hold, sell]}\n"


def test_an_input_vector_is_entered_as_text(
    browser: Browser, front: Frontend, tmp_path: Path
) -> None:
    (tmp_path / "schema.yaml").write_text(SCHEMA)
    (tmp_path / "policy.onnx").write_bytes(linear_onnx(4, 3, output="logits"))
    with (
        gunicorn(publish(tmp_path, tmp_path / "instance")) as server,
        visitor(browser, front) as guest,
    ):
        guest.connect(server)
        guest.sees("This service has no observations")
        for name, there in (("Decide", 1), ("Policy", 1), ("Picture", 0), ("Compare", 0)):
            assert guest.page.get_by_role("tab", name=name, exact=True).count() == there
        guest.fill("Features", "0.5, -1")
        guest.press("Decide")
        guest.sees("the network takes 4")
        guest.fill("Features", "[0.5, -1, x, 2]")
        guest.sees("x is no number")
        guest.fill("Features", "[0.5, -1, 2.5, 0]")
        guest.fill("Seed", "7")
        guest.press("Decide")
        answer = server.post("predict_raw?seed=7", {"obs": [0.5, -1, 2.5, 0]}).json()
        assert answer["values"]["trade"] in guest.decision()
