"""Episodes that a visitor plays: in an example's environment, and by the form; what goes wrong."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from tests.frontend.conftest import SCHEMA_OF_THREE, served
from tests.frontend.test_episodes_page import FILES, at
from tests.support.axe import serious
from tests.support.networks import linear_onnx
from tests.support.server import PASSWORD, USER, Server
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor


def play_here(guest: Visitor, server: Server) -> None:
    guest.connect(server)
    guest.turn_to("Episodes")
    guest.page.get_by_text("Played here", exact=True).click()
    guest.settle()


def values(guest: Visitor) -> list[str]:
    """What the numbers of the form are."""
    return [each.input_value() for each in guest.page.get_by_role("spinbutton").all()]


def test_an_episode_in_the_environment_is_drawn_downloaded_and_taken_again(
    browser: Browser, front: Frontend, lpoc_server: Server, tmp_path: Path
) -> None:
    with visitor(browser, front, viewport={"width": 1280, "height": 1500}) as guest:
        play_here(guest, lpoc_server)
        guest.fill("Seed of the environment", "5")
        guest.fill("Steps to play", "3")
        guest.press("Play in the environment")
        at(guest, 1, 3)
        guest.sees("3 steps through /step, most probable action; environment from seed 5")
        drawing = guest.page.get_by_role("img", name="Before step 1: The steered table at")
        expect(drawing).to_be_visible(timeout=WAIT_MILLISECONDS)
        guest.press("Play in the environment")  # goes on
        at(guest, 4, 6)
        guest.page.get_by_role("slider", name="Step").press("End")
        at(guest, 6, 6)
        expect(guest.page.get_by_role("img", name="After step 6: ")).to_be_visible(
            timeout=WAIT_MILLISECONDS
        )
        assert serious(guest) == []
        file = download(guest, tmp_path)
        guest.press("Load into the form")
        guest.sees("The form of Decide has the observation of step 6.")
        by_the_form(guest)
        guest.choose("Episode", "played 1")
        at(guest, 1, 6)
        guest.page.get_by_text("Recorded", exact=True).click()
        guest.settle()
        guest.hand_over(FILES, file)
        guest.sees("decides as recorded at all 6 steps.")


def by_the_form(guest: Visitor) -> None:
    """Play two steps by hand, and load the first again."""
    guest.press("Begin anew")
    guest.page.get_by_text("The form", exact=True).click()
    guest.settle()
    guest.press("Step")
    at(guest, 1, 1)
    entered = values(guest)
    guest.press("Random valid observation")
    guest.press("Step")
    at(guest, 2, 2)
    guest.press("Previous")
    guest.press("Load into the form")
    assert values(guest) == entered
    assert serious(guest) == []


def test_a_policy_with_memory_is_played_through_step_alone(
    browser: Browser, front: Frontend, recurrent: Server
) -> None:
    with visitor(browser, front) as guest:
        play_here(guest, recurrent)
        guest.page.get_by_text("/predict", exact=True).click()
        guest.settle()
        guest.press("Step")
        guest.sees("has a memory")
        guest.page.get_by_text("/step", exact=True).first.click()
        guest.settle()
        guest.press("Step")
        guest.press("Step")
        at(guest, 2, 2)
        guest.sees("What a policy with memory weighs depends on the steps before")


def test_rewards_that_are_typed_are_drawn_summed_and_written_to_the_file(
    browser: Browser, front: Frontend, linear: Server, tmp_path: Path
) -> None:
    with visitor(browser, front) as guest:
        play_here(guest, linear)
        guest.press("Step")
        at(guest, 1, 1)
        curve = guest.page.get_by_role("button", name="Show data: Reward over the steps")
        assert curve.count() == 0
        guest.fill("Reward of step 1", "-0.125")
        expect(curve).to_have_count(1, timeout=WAIT_MILLISECONDS)
        guest.sees("sum of rewards -0.125")
        guest.press("Step")
        at(guest, 2, 2)
        # What is typed right before the click is kept, though the step that is shown changes.
        guest.field("Reward of step 2").fill("1.5")
        guest.press("Step")
        at(guest, 3, 3)
        guest.sees("sum of rewards of 2 steps 1.375")
        assert serious(guest) == []
        guest.press("Previous")
        expect(guest.field("Reward of step 2")).to_have_value("1.5", timeout=WAIT_MILLISECONDS)
        guest.fill("Reward of step 2", "")  # nothing is known again
        guest.sees("sum of rewards of 1 step -0.125")
        guest.fill("Reward of step 2", "2")
        guest.sees("sum of rewards of 2 steps 1.875")
        file = download(guest, tmp_path)
        with file.open(encoding="utf-8-sig", newline="") as text:
            rewards = [row["reward"] for row in csv.DictReader(text)]
        assert [float(each) for each in rewards[:2]] == [-0.125, 2.0]
        assert rewards[2:] == [""]
        guest.page.get_by_role("radio", name="Recorded").click()
        guest.settle()
        guest.hand_over(FILES, file)
        guest.sees("reward -0.125")
        assert guest.field("Reward of step 1").count() == 0  # a record stays as it is


def download(guest: Visitor, folder: Path) -> Path:
    with guest.page.expect_download() as download:
        guest.button("Download as CSV").click()
    file = folder / "episodes.csv"
    download.value.save_as(file)
    return file


@pytest.fixture
def linear_to_change(tmp_path: Path) -> Iterator[Server]:
    yield from served(tmp_path, linear_onnx(3, 2))


def change_schema(server: Server) -> None:
    """Let a policy decide whose fields are called otherwise."""
    schema = SCHEMA_OF_THREE.replace(" x:", " weight:")
    assert schema != SCHEMA_OF_THREE
    files = {
        "model_file": ("policy.onnx", linear_onnx(3, 2, seed=2)),
        "schema_file": ("schema.yaml", schema.encode()),
    }
    answer = requests.post(f"{server.url}/policy", files=files, auth=(USER, PASSWORD), timeout=120)
    assert answer.json()["state"] == "active"


def test_steps_stay_when_version_and_schema_change_and_when_the_server_goes(
    browser: Browser, front: Frontend, linear_to_change: Server
) -> None:
    server = linear_to_change
    with visitor(browser, front) as guest:
        play_here(guest, server)
        guest.press("Step")
        at(guest, 1, 1)
        answer = server.upload("model", "model_file", linear_onnx(3, 2, seed=1))
        second = answer.json()["version"]
        guest.press("Step")
        guest.sees(f"Version {second} is active now; the episode goes on with")
        at(guest, 2, 2)
        change_schema(server)
        guest.press("Step")
        guest.sees("The server has another schema now")
        guest.sees("Download those of schema")
        guest.press("Step")
        at(guest, 1, 1)
        server.process.terminate()
        server.process.wait(60)
        guest.press("Step")
        guest.sees("Kept so far: 1 step of played 2.")
        at(guest, 1, 1)
