"""The distributions draw what they say they draw."""

from typing import Any

import numpy as np

from examples.distributions import Categorical, Gaussian
from examples.quiet_tensorflow import tf

MANY = 20_000
LOGITS = np.array([[0.5, -1.0, 1.0, 0.0, 2.0]], np.float32)  # heads of 2 and 3 actions
GAUSSIAN = np.array([[1.5, -0.5]], np.float32)  # mean and log standard deviation


def softmax(logits: Any) -> Any:
    return np.exp(logits) / np.exp(logits).sum()


def test_log_probabilities_are_joint_over_heads() -> None:
    first, second = softmax(LOGITS[0, :2]), softmax(LOGITS[0, 2:])
    computed = Categorical((2, 3)).log_probability(LOGITS, np.array([[1, 0]]))
    np.testing.assert_allclose(computed, [np.log(first[1] * second[0])], rtol=1e-5)


def test_log_densities_are_those_of_the_raw_action() -> None:
    computed = Gaussian().log_probability(GAUSSIAN, np.array([[2.5]], np.float32))
    variance = np.exp(-1.0)
    expected = -0.5 * 1.0 / variance - 0.5 * np.log(2 * np.pi * variance)
    np.testing.assert_allclose(computed, [expected], rtol=1e-5)


def test_entropies_are_the_mean_surprise() -> None:
    heads = softmax(LOGITS[0, :2]), softmax(LOGITS[0, 2:])
    expected = sum(-(head * np.log(head)).sum() for head in heads)
    np.testing.assert_allclose(Categorical((2, 3)).entropy(LOGITS), [expected], rtol=1e-5)
    variance = np.exp(-1.0)
    expected = 0.5 * np.log(2 * np.pi * np.e * variance)
    np.testing.assert_allclose(Gaussian().entropy(GAUSSIAN), [expected], rtol=1e-5)


def test_modes_are_the_largest_logits_and_the_mean() -> None:
    np.testing.assert_array_equal(Categorical((2, 3)).mode(LOGITS), [[0, 2]])
    np.testing.assert_array_equal(Gaussian().mode(GAUSSIAN), [[1.5]])


def test_heads_are_drawn_independently_with_their_probabilities() -> None:
    many = np.tile(LOGITS, (MANY, 1))
    first, second = np.asarray(Categorical((2, 3)).sample(many, tf.constant([1, 2]))).T
    seen = np.bincount(first * 3 + second, minlength=6).reshape(2, 3) / MANY
    expected = np.outer(softmax(LOGITS[0, :2]), softmax(LOGITS[0, 2:]))
    np.testing.assert_allclose(seen, expected, atol=0.02)


def test_gaussian_draws_have_the_mean_and_deviation_of_the_inputs() -> None:
    draws = np.asarray(Gaussian().sample(np.tile(GAUSSIAN, (MANY, 1)), tf.constant([1, 2])))
    assert draws.shape == (MANY, 1)
    np.testing.assert_allclose([draws.mean(), draws.std()], [1.5, np.exp(-0.5)], atol=0.02)


def test_actions_have_the_types_of_the_environments() -> None:
    assert type(Categorical((5,)).as_action(np.array([3]))) is int
    assert Categorical((2, 3)).as_action(np.array([1, 2])) == (1, 2)
    assert type(Gaussian().as_action(np.array([0.5], np.float32))) is float
