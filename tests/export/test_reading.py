"""The kit's reading of an output and of statistics is that of the server."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers.utils import RunningMeanStd

from policy_server.export.reading import WORDS, applied, check_reading, decided_by
from policy_server.export.spaces import ExportRefused
from policy_server.export.statistics import normalised, statistics_of
from policy_server.policy.families.beta import Beta
from policy_server.policy.families.binary import Binary
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.deterministic import Deterministic
from policy_server.policy.families.family import Family
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.probabilities import Probabilities
from policy_server.policy.families.registry import reading_words
from policy_server.policy.families.squashed import SquashedGaussian

BOX = spaces.Box(*np.array([[-2, 0], [2, 1]], np.float32))
HEADS, SWITCHES = spaces.MultiDiscrete([3, 2]), spaces.MultiBinary(2)
READ: dict[str, tuple[Any, Family]] = {
    "logits": (HEADS, Categorical((3, 2))),
    "probabilities": (HEADS, Probabilities((3, 2))),
    "values": (HEADS, Greedy((3, 2))),
    "costs": (HEADS, Costs((3, 2))),
    "binary_logits": (SWITCHES, Binary((2, 2))),
    "actions": (BOX, Deterministic((2,))),
    "means": (BOX, Deterministic((2,))),
    "mean_log_std": (BOX, DiagonalGaussian((2,))),
    "squashed_mean_log_std": (BOX, SquashedGaussian((2,))),
    "beta": (BOX, Beta((2,))),
}
"""By word: an action space, and the server's family."""


def test_the_kit_has_the_words_of_the_server() -> None:
    assert set(WORDS) == set(reading_words()) == set(READ)


@pytest.mark.parametrize("word", READ)
def test_the_most_probable_action_is_that_of_the_server(word: str) -> None:
    space, family = READ[word]
    rng = np.random.default_rng(0)
    for _ in range(20):
        row = rng.uniform(0.1, 2, family.input_width).astype(np.float32)
        if word not in ("beta", "probabilities"):
            row -= 1
        decided = decided_by(word, row, space, (-1.0, 1.0))
        assert np.allclose(decided.action, family.mode(row[None].astype(float))[0], atol=1e-6)


def test_actions_are_scaled_and_clipped_to_their_space() -> None:
    assert applied([-1, 1], BOX, (-1.0, 1.0)).tolist() == [-2, 1]
    assert applied([0, 0], BOX, (-1.0, 1.0)).tolist() == [0, 0.5]
    assert applied([-7, 7], BOX).tolist() == [-2, 1]
    assert applied([1], spaces.Discrete(3, start=4)) == 5


@pytest.mark.parametrize(
    ("reads", "space", "remedy"),
    [
        ("logit", BOX, "is no reading of an output: logits,"),
        ("logits", BOX, "makes no action of Box"),
        ("means", spaces.Discrete(2), "makes no action of Discrete"),
        ("binary_logits", spaces.Discrete(2), "are of a MultiBinary"),
        ("squashed_mean_log_std", BOX, "action_range: -1,1"),
    ],
)
def test_readings_that_do_not_fit_are_refused(reads: str, space: Any, remedy: str) -> None:
    with pytest.raises(ExportRefused, match=remedy):
        check_reading(reads, space, None)


def test_an_output_of_another_width_is_refused() -> None:
    with pytest.raises(ExportRefused, match="5 actions are to be chosen by 4 numbers"):
        decided_by("logits", np.zeros(4), HEADS)
    with pytest.raises(ExportRefused, match="puts out 3 numbers"):
        decided_by("means", np.zeros(3), BOX)


def test_statistics_of_a_file_and_of_a_wrapper_are_the_same(tmp_path: Path) -> None:
    class Wrapper:
        obs_rms, epsilon = RunningMeanStd(shape=(2,)), 1e-8

    seen = np.random.default_rng(0).normal(3, 2, (50, 2))
    Wrapper.obs_rms.update(seen)
    file = tmp_path / "statistics.npz"
    np.savez(file, mean=Wrapper.obs_rms.mean, var=Wrapper.obs_rms.var, epsilon=1e-8)
    expected = (seen[0] - Wrapper.obs_rms.mean) / np.sqrt(Wrapper.obs_rms.var + 1e-8)
    for given in (Wrapper(), file):
        assert np.allclose(normalised(seen[0], statistics_of(given)), expected, atol=1e-6)
    np.savez(file, mean=[0.0], std=[2.0], epsilon=0.5, clip=1.0)
    assert normalised([2.0], statistics_of(file)).tolist() == [pytest.approx(0.8)]
    assert normalised([-9.0], statistics_of(file)).tolist() == [-1.0]


@pytest.mark.parametrize(
    "names", [("mean",), ("var",), ("mean", "var", "std"), ("mean", "var", "x")]
)
def test_statistics_that_say_too_little_or_too_much_are_refused(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    arrays: dict[str, Any] = {name: np.ones(2) for name in names}
    np.savez(tmp_path / "statistics.npz", **arrays)
    with pytest.raises(ExportRefused, match="`mean` is wanted and one of `variance` and `std`"):
        statistics_of(tmp_path / "statistics.npz")
