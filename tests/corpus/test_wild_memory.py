"""A policy with memory that strangers published: served as what ONNX Runtime makes of its file."""

from pathlib import Path

import numpy as np
import pytest

from policy_server.policy.memory import Memory
from policy_server.policy.onnx_session import open_session
from policy_server.version.parts import Part
from tests.corpus.test_wild import WILD, Desk, golden_of, model_of
from tests.support.contracts import contract_of

HALLWAY, FEATURES, STATE, ACTIONS = "unity-hallway-lstm", 108, 128, 5


@pytest.fixture(scope="module")
def hallway(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, str]:
    """A desk with the policy, to which nothing was declared."""
    desk = Desk(tmp_path_factory.mktemp("hallway"), contract_of(FEATURES))
    report = desk.upload(model=model_of(WILD / HALLWAY))
    assert report.state == "active", report
    return desk, report.version


def test_it_carries_what_its_file_gives(hallway: tuple[Desk, str]) -> None:
    desk, version = hallway
    policy, golden = desk.policy(version), golden_of(HALLWAY)
    assert policy.network.memory == Memory(STATE)
    rows = np.concatenate(
        [golden[f"in:{name}"].reshape(12, -1) for name in ("obs_0", "obs_1", "recurrent_in")],
        axis=1,
    )
    found = policy.run(rows.astype(np.float32))
    assert found.shape == (12, ACTIONS + STATE)
    following = golden["out:recurrent_out"].reshape(12, -1)
    np.testing.assert_allclose(found[:, ACTIONS:], following, atol=1e-5)


def test_actions_of_an_episode_are_as_probable_as_the_file_draws_them(
    hallway: tuple[Desk, str],
) -> None:
    """The file puts out draws alone: of an episode step by step, many times over."""
    desk, version = hallway
    policy = desk.policy(version)
    file = open_session(WILD / HALLWAY / "policy.onnx")
    observed = np.random.default_rng(4).uniform(0, 1, (6, FEATURES)).astype(np.float32)
    draws = 4000
    ours, theirs = policy.begun(observed[:1]), np.zeros((draws, 1, STATE), np.float32)
    for step in observed:
        ours[0, :FEATURES] = step
        outputs = policy.run(ours)
        ours[:, FEATURES:] = outputs[:, ACTIONS:]
        many = np.tile(step, (draws, 1))
        drawn, theirs = file.run(
            ["discrete_actions", "recurrent_out"],
            {
                "obs_0": many[:, :105],
                "obs_1": many[:, 105:],
                "action_masks": np.ones((draws, ACTIONS), np.float32),
                "recurrent_in": theirs,
            },
        )
        theirs = theirs.reshape(draws, 1, STATE)
        np.testing.assert_allclose(ours[0, FEATURES:], theirs[0, 0], atol=1e-5)
        shares = np.exp(outputs[0, :ACTIONS]) / np.exp(outputs[0, :ACTIONS]).sum()
        counted = np.bincount(drawn.ravel().astype(int), minlength=ACTIONS) / draws
        np.testing.assert_allclose(counted, shares, atol=5 * 0.5 / np.sqrt(draws))


def test_single_golden_cases_are_refused_in_words(
    hallway: tuple[Desk, str], tmp_path: Path
) -> None:
    desk, _ = hallway
    case = '{"observation": {"x": [' + ", ".join(["0"] * FEATURES) + ']}, "action": 0}'
    other = Desk(tmp_path, desk.contract)
    with pytest.raises(Exception, match="The golden cases are single ones"):
        other.upload(model=model_of(WILD / HALLWAY), **{Part.GOLDEN: case.encode()})
