"""Recorded episodes: step by step, played, and decided anew with what a policy remembers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from policy_server.frontend.episode_files import read_episodes
from policy_server.frontend.real_observations import Recorded
from policy_server.frontend.replayed import replay
from policy_server.frontend.service import Service
from tests.frontend.conftest import FIELDS, served, service_of
from tests.frontend.test_loading import GOLDEN
from tests.support.axe import serious
from tests.support.recurrent import EPISODE, LongShort, lstm_steps
from tests.support.server import KEY, PASSWORD, Server
from tests.support.visitor import WAIT_MILLISECONDS, Frontend, Visitor, visitor

FILES = "File of episodes"
STEPS = 6
ACTIONS = [int(each.argmax()) for each in lstm_steps(EPISODE[:STEPS])]
DIFFERING = 4
"""The step whose recorded action is not the one that is decided."""
ROWS = """episode,x,y,z,action,reward,weather
a,1,2,3,0,0.5,sun
b,4,5,6,,-1,rain
a,2,2,3,1,0.25,sun
a,3,2,3,0,1,rain
a,3,2,99,0,1,rain
,3,2,1,0,1,rain
"""


def golden(folder: Path, differing: int = DIFFERING) -> Path:
    """An episode, with one action recorded that is another; 0 for none."""
    file = folder / "golden.jsonl"
    lines = []
    for place, row in enumerate(EPISODE[:STEPS], 1):
        action = ACTIONS[place - 1] ^ (place == differing)
        observation = dict(zip(FIELDS, map(float, row), strict=True))
        lines.append(json.dumps({"episode": 7, "observation": observation, "action": action}))
    file.write_text("\n".join(lines))
    return file


def csv_of(folder: Path) -> Path:
    file = folder / "trips.csv"
    file.write_text(ROWS)
    return file


def at(guest: Visitor, step: int, count: int) -> None:
    expect(guest.page.get_by_text(f"Step {step} of {count}", exact=True)).to_be_visible(
        timeout=WAIT_MILLISECONDS
    )


def test_episodes_of_a_csv_file_are_scrubbed_and_played(
    browser: Browser, front: Frontend, linear: Server, tmp_path: Path
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(linear)
        guest.turn_to("Episodes")
        guest.hand_over(FILES, csv_of(tmp_path))
        guest.sees("Left out: 1 not valid; 1 of no episode.")
        at(guest, 1, 3)
        guest.press("Next")
        at(guest, 2, 3)
        guest.sees("line 4 of trips.csv")
        guest.sees("reward 0.25")
        assert serious(guest) == []
        assert guest.address("episodes%3Astep=2")
        guest.page.get_by_role("slider", name="Step").press("End")
        at(guest, 3, 3)
        guest.settle()
        guest.press("Play")  # from the begin, as this is the end
        at(guest, 3, 3)
        expect(guest.button("Play")).to_be_visible(timeout=WAIT_MILLISECONDS)
        guest.settle()
        guest.choose("Episode", "b")
        at(guest, 1, 1)
        guest.sees("No action is recorded, so none is compared.")


def test_steps_of_a_policy_with_memory_are_decided_with_it_and_go_into_the_form(
    browser: Browser, front: Frontend, recurrent: Server, tmp_path: Path
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(recurrent)
        guest.turn_to("Episodes")
        guest.hand_over(FILES, golden(tmp_path))
        guest.sees(f"decides otherwise than recorded at 1 of {STEPS} steps: {DIFFERING}")
        guest.sees("The policy has a memory")
        guest.press("Next difference")
        at(guest, DIFFERING, STEPS)
        guest.sees("otherwise than recorded: action")
        guest.press("Load into the form")
        guest.sees(f"The form of Decide has the observation of step {DIFFERING}.")
        assert serious(guest) == []
        guest.turn_to("Decide")
        guest.sees(f"From step {DIFFERING} of episode 7, golden case in line {DIFFERING}")


@pytest.fixture(scope="module")
def with_episodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A policy with a memory whose golden cases are an episode."""
    folder = tmp_path_factory.mktemp("with_episodes")
    golden(folder, differing=0)
    yield from served(folder, LongShort().content())


def test_episodes_among_the_golden_cases_of_a_version_are_taken_without_the_file(
    browser: Browser, front: Frontend, with_episodes: Server
) -> None:
    version = with_episodes.get("versions").json()["active"]
    told = f"Version {version} decides as recorded at all {STEPS} steps."
    with visitor(browser, front) as guest:
        guest.connect(with_episodes)
        guest.turn_to("Episodes")
        guest.page.get_by_text(GOLDEN, exact=True).click()
        guest.settle()
        guest.sees(told)
        guest.press("Next")
        at(guest, 2, STEPS)
        guest.sees(f"golden case in line 2 of version {version}")
        assert serious(guest) == []
        link = guest.address("episodes%3Astep=2")
    with visitor(browser, Frontend(front.process, link, 0, front.log)) as other:
        other.fill("Password", PASSWORD)
        other.press("Connect")
        other.sees(told)
        at(other, 2, STEPS)


def test_golden_cases_that_are_no_steps_say_what_they_lack_and_who_may_not_manage_has_the_file(
    browser: Browser, front: Frontend, lpoc_server: Server
) -> None:
    with visitor(browser, front) as guest:
        guest.connect(lpoc_server)
        guest.turn_to("Episodes")
        guest.page.get_by_text(GOLDEN, exact=True).click()
        guest.settle()
        guest.sees("names the episode that it is a step of, as episode. Choose another version,")
        guest.page.get_by_text("A file", exact=True).click()
        guest.settle()
        guest.sees(FILES)
    with visitor(browser, front) as guest:
        guest.fill("Address", lpoc_server.url)
        guest.fill("Key or token, instead of user and password", KEY)
        guest.press("Connect")
        guest.turn_to("Episodes")
        guest.sees(FILES)
        assert guest.page.get_by_text(GOLDEN, exact=True).count() == 0


def test_replayed_is_what_the_formulas_give(recurrent: Server, tmp_path: Path) -> None:
    service = service_of(recurrent)
    found = read_episodes("golden.jsonl", golden(tmp_path).read_bytes(), service)
    steps = found.episodes["7"].steps
    shares: list[float] = []
    replayed = replay(service, steps, shares.append)
    assert replayed.has_memory
    assert [each.actions[0] for each in replayed.decisions] == ACTIONS
    assert replayed.differing(steps) == [DIFFERING]
    assert shares[-1] == 1.0


@pytest.fixture(scope="module")
def linear_service(linear: Server) -> Service:
    return service_of(linear)


def test_columns_beside_the_fields_say_what_is_recorded(linear_service: Service) -> None:
    found = read_episodes("trips.csv", ROWS.encode(), linear_service)
    steps = found.episodes["a"].steps
    assert [each.observation["x"] for each in steps] == [1, 2, 3]
    assert [each.reward for each in steps] == [0.5, 0.25, 1.0]
    assert [each.recorded for each in steps] == [Recorded((each,)) for each in (0, 1, 0)]
    assert found.episodes["b"].steps[0].recorded is None
    replayed = replay(linear_service, steps, lambda share: None)
    assert not replayed.has_memory


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.csv", "x,y,z\n1,2,3\n", "no column `episode`"),
        ("a.csv", "episode,x,y,z\n,1,2,3\n", "No valid row of the file names the episode"),
        ("a.jsonl", '{"observation": {"x": 1, "y": 2, "z": 3}}', "No valid case of the file"),
    ],
)
def test_a_file_without_episodes_says_what_it_lacks(
    linear_service: Service, name: str, content: str, fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        read_episodes(name, content.encode(), linear_service)


def late(gone: str, shown: str) -> None:
    import streamlit as st  # the text of this function alone is run

    from policy_server.frontend import episode_player as player

    st.session_state[player.SLIDER] = 3
    st.session_state[player.STEP], st.session_state[player.PLAYING] = 2, True
    st.session_state[gone], st.session_state[shown] = 1, 2
    for key in (gone, shown):
        player._slide(key)
    st.text(f"{player.is_playing()} {st.session_state[player.STEP]}")


def test_what_a_slider_tells_late_stops_no_episode() -> None:
    """Each step that is played has a slider of its own; a browser may tell of one that is gone."""
    app = AppTest.from_function(late, args=("episodes:slider:2", "episodes:slider:3")).run()
    assert not app.exception
    assert app.text[0].value == "True 2"
