"""Exact distributions, against SciPy, brute force and counted draws."""

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.family import Array, NotFinite
from policy_server.policy.families.family import Family as Distribution
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.greedy import Greedy
from policy_server.policy.families.real import density
from policy_server.policy.families.softmax import log_softmax

MASKS = (-np.inf, -3.4e38, float(np.finfo(np.float32).min))
LAST_UNIFORM = 1 - 2**-53
"""The largest number that a generator draws."""


class Uniforms(np.random.Generator):
    """A generator whose every uniform is the same number."""

    def __init__(self, uniform: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = uniform

    def random(self, size: Any = None, *_: Any, **__: Any) -> Any:
        return np.full(size, self.value)


def heads(sizes: tuple[int, ...], inputs: Array) -> list[Array]:
    """Cut the heads out by hand."""
    ends = list(itertools.accumulate(sizes))
    return [inputs[:, end - size : end] for size, end in zip(sizes, ends, strict=True)]


def float32_logits(width: int) -> st.SearchStrategy[Array]:
    logits = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.just(-np.inf)
    return arrays(np.float64, (3, width), elements=logits)


SIZES = [(2,), (5,), (2, 3, 4), (1, 7), (1,)]


class TestCategorical:
    @pytest.mark.parametrize("sizes", SIZES)
    @pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
    def test_it_is_the_softmax_of_each_head(self, sizes: tuple[int, ...], scale: float) -> None:
        inputs = scale * np.random.default_rng(1).standard_normal((50, sum(sizes)))
        distribution = Categorical(sizes)
        expected = [scipy.special.softmax(head, axis=1) for head in heads(sizes, inputs)]

        distribution.check(inputs)
        assert distribution.input_width == sum(sizes)
        found = distribution.head_probabilities(inputs)
        assert len(found) == len(sizes)
        for probabilities, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(probabilities, wanted, rtol=1e-12)
        entropy = sum(scipy.stats.entropy(head, axis=1) for head in expected)
        np.testing.assert_allclose(distribution.entropy(inputs), entropy, rtol=1e-9, atol=1e-14)
        modes = np.stack([head.argmax(axis=1) for head in expected], axis=1)
        np.testing.assert_array_equal(distribution.mode(inputs), modes)

    @pytest.mark.parametrize("sizes", SIZES)
    def test_the_joint_probability_is_the_product_and_they_sum_to_one(
        self, sizes: tuple[int, ...]
    ) -> None:
        inputs = 2 * np.random.default_rng(2).standard_normal((1, sum(sizes)))
        soft = [scipy.special.softmax(head[0]) for head in heads(sizes, inputs)]
        total = 0.0
        for actions in itertools.product(*map(range, sizes)):
            product = np.prod([head[action] for head, action in zip(soft, actions, strict=True)])
            found = np.exp(Categorical(sizes).log_probability(inputs, np.array([actions])))
            np.testing.assert_allclose(found, product, rtol=1e-12)
            total += float(found[0])
        assert total == pytest.approx(1, rel=1e-12)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(SIZES).flatmap(
        lambda sizes: st.tuples(st.just(sizes), float32_logits(sum(sizes)))
    ), st.integers(0, 2**32))  # fmt: skip
    def test_whatever_passes_the_check_is_a_distribution(
        self, case: tuple[tuple[int, ...], Array], seed: int
    ) -> None:
        sizes, inputs = case
        distribution = Categorical(sizes)
        largest = np.array([head.max(axis=1) for head in heads(sizes, inputs)])
        if largest.min() < -1e38:
            with pytest.raises(NotFinite, match="every action is masked"):
                distribution.check(inputs)
            return
        distribution.check(inputs)
        for probabilities in distribution.head_probabilities(inputs):
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
            assert (probabilities >= 0).all()
        actions = distribution.sample(inputs, np.random.default_rng(seed))
        logs = distribution.log_probability(inputs, actions)
        chosen = [
            probabilities[np.arange(3), actions[:, head]]
            for head, probabilities in enumerate(distribution.head_probabilities(inputs))
        ]
        np.testing.assert_allclose(np.exp(logs), np.prod(chosen, axis=0), rtol=1e-12)
        assert (np.exp(logs) > 0).all()
        best = distribution.log_probability(inputs, distribution.mode(inputs))
        assert (best >= logs).all()
        entropy = distribution.entropy(inputs)
        assert (entropy >= 0).all()
        assert (entropy <= sum(np.log(size) for size in sizes) + 1e-12).all()

    @pytest.mark.parametrize("mask", MASKS)
    @pytest.mark.parametrize("masked", [(0,), (3,), (0, 1), (2, 3), (0, 2), (0, 1, 3)])
    @pytest.mark.parametrize("uniform", [0.0, 2**-53, 0.5, LAST_UNIFORM])
    def test_a_masked_action_has_no_probability_and_is_never_drawn(
        self, mask: float, masked: tuple[int, ...], uniform: float
    ) -> None:
        logits = np.array([[0.3, -1.2, 2.0, 0.1]])
        logits[:, masked] = mask
        distribution = Categorical((4,))
        distribution.check(logits)

        kept = [action for action in range(4) if action not in masked]
        [probabilities] = distribution.head_probabilities(logits)
        assert (probabilities[0, list(masked)] == 0.0).all()
        soft = scipy.special.softmax(logits[0, kept])
        np.testing.assert_allclose(probabilities[0, kept], soft, rtol=1e-12)
        np.testing.assert_allclose(
            distribution.entropy(logits), scipy.stats.entropy(soft), atol=1e-14
        )
        drawn = distribution.sample(logits, Uniforms(uniform))[0, 0]
        assert drawn == kept[min(int(np.searchsorted(soft.cumsum(), uniform, "right")),
                                 len(kept) - 1)]  # fmt: skip
        assert distribution.mode(logits)[0, 0] in kept
        for action in masked:
            assert np.exp(distribution.log_probability(logits, np.array([[action]])))[0] == 0.0

    @pytest.mark.parametrize("uniform", [0.0, 0.5, LAST_UNIFORM])
    @pytest.mark.parametrize(
        ("logits", "probabilities"),
        [
            ([3.4e38, -3.4e38], [1, 0]),
            ([-3.4e38, 3.4e38], [0, 1]),
            ([1e30, 1e30, -1e30], [0.5, 0.5, 0]),
            ([3.4e38, 3.4e38], [0.5, 0.5]),
            ([-1e37, -1e37, -3.4e38], [0.5, 0.5, 0]),
            ([1e30, 0, 3.4e38], [0, 0, 1]),
        ],
    )
    def test_the_largest_logits_do_not_overflow(
        self, logits: list[float], probabilities: list[float], uniform: float
    ) -> None:
        inputs = np.array([logits])
        distribution = Categorical((len(logits),))
        distribution.check(inputs)
        np.testing.assert_array_equal(distribution.head_probabilities(inputs)[0][0], probabilities)
        drawn = distribution.sample(inputs, Uniforms(uniform))
        assert probabilities[drawn[0, 0]] > 0
        entropy = 0 if 1 in probabilities else np.log(2)
        np.testing.assert_allclose(distribution.entropy(inputs), entropy, atol=1e-15)

    def test_rounding_at_the_end_of_the_sum_finds_an_action(self) -> None:
        rng = np.random.default_rng(3)
        logits = rng.uniform(-30, 0, (2000, 37))
        logits[:, 30:] = -np.inf
        drawn = Categorical((37,)).sample(logits, Uniforms(LAST_UNIFORM))
        assert (drawn < 30).all()
        assert (Categorical((37,)).sample(logits, Uniforms(0.0)) == 0).all()

    @pytest.mark.parametrize("sizes", [(4,), (2, 3)])
    def test_draws_have_the_frequencies_of_the_distribution(self, sizes: tuple[int, ...]) -> None:
        inputs = np.random.default_rng(4).standard_normal((1, sum(sizes)))
        inputs[0, 1] = -np.inf
        draws = Categorical(sizes).sample(np.repeat(inputs, 20_000, axis=0),
                                          np.random.default_rng(5))  # fmt: skip
        soft = [scipy.special.softmax(head[0]) for head in heads(sizes, inputs)]
        joint = np.multiply.outer(soft[0], soft[1]).ravel() if len(sizes) > 1 else soft[0]
        index = draws[:, 0] * sizes[1] + draws[:, 1] if len(sizes) > 1 else draws[:, 0]
        counts = np.bincount(index, minlength=len(joint))
        assert (counts[joint == 0] == 0).all()
        kept = joint > 0
        test = scipy.stats.chisquare(counts[kept], 20_000 * joint[kept])
        assert test.pvalue > 1e-3

    @pytest.mark.parametrize(
        "row", [[np.nan, 0, 0, 0], [0, np.inf, 0, 0], [0, 0, np.nan, -np.inf], [0, 0, np.inf, 1]]
    )
    @pytest.mark.parametrize("sizes", [(4,), (2, 2)])
    def test_what_no_sound_network_puts_out_is_refused(
        self, row: list[float], sizes: tuple[int, ...]
    ) -> None:
        with pytest.raises(NotFinite, match=r"NaN or \+inf"):
            Categorical(sizes).check(np.array([[0.0] * 4, row]))

    @pytest.mark.parametrize("mask", MASKS)
    def test_a_head_without_an_action_is_refused(self, mask: float) -> None:
        inputs = np.array([[0.0, 1.0, mask, mask]])
        Categorical((4,)).check(inputs)
        with pytest.raises(NotFinite, match="every action is masked"):
            Categorical((2, 2)).check(inputs)


class TestGreedy:
    VALUES = np.array([[1.0, 3.0, 2.0], [-5.0, -6.0, -np.inf]])

    def test_the_highest_value_is_taken_always(self) -> None:
        greedy = Greedy((3,))
        greedy.check(self.VALUES)
        np.testing.assert_array_equal(greedy.mode(self.VALUES), [[1], [0]])
        for seed in range(20):
            drawn = greedy.sample(self.VALUES, np.random.default_rng(seed))
            np.testing.assert_array_equal(drawn, [[1], [0]])
        [(_, probabilities)] = greedy.weighed(self.VALUES)
        np.testing.assert_array_equal(probabilities, [[0, 1, 0], [1, 0, 0]])
        np.testing.assert_array_equal(greedy.entropy(self.VALUES), [0, 0])
        logs = greedy.log_probability(self.VALUES, np.array([[1], [1]]))
        np.testing.assert_array_equal(np.exp(logs), [1, 0])
        assert greedy.input_width == 3

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_values_that_are_no_numbers_are_refused(self, value: float) -> None:
        with pytest.raises(NotFinite, match=r"NaN or \+inf"):
            Greedy((2,)).check(np.array([[value, 0.0]]))

    @pytest.mark.parametrize("mask", MASKS)
    def test_a_row_without_an_action_is_refused(self, mask: float) -> None:
        with pytest.raises(NotFinite, match="every action is masked"):
            Greedy((2,)).check(np.array([[0.0, mask], [mask, mask]]))


LAYOUTS: list[tuple[tuple[int, ...], list[int], list[int]]] = [
    ((1,), [0], [1]),
    ((3,), [0, 1, 2], [3, 4, 5]),
    ((1, 1), [0, 2], [1, 3]),
    ((2, 1, 3), [0, 1, 4, 6, 7, 8], [2, 3, 5, 9, 10, 11]),
]


class TestDiagonalGaussian:
    @pytest.mark.parametrize(("sizes", "means", "log_stds"), LAYOUTS)
    def test_it_is_scipys_normal_in_the_declared_layout(
        self, sizes: tuple[int, ...], means: list[int], log_stds: list[int]
    ) -> None:
        inputs = np.random.default_rng(6).standard_normal((40, 2 * sum(sizes)))
        gaussian = DiagonalGaussian(sizes)
        gaussian.check(inputs)
        assert gaussian.input_width == 2 * sum(sizes)
        normal = scipy.stats.norm(inputs[:, means], np.exp(inputs[:, log_stds]))
        actions = gaussian.sample(inputs, np.random.default_rng(7))
        assert actions.shape == (40, sum(sizes))
        np.testing.assert_allclose(
            gaussian.log_probability(inputs, actions), normal.logpdf(actions).sum(axis=1)
        )
        entropy = gaussian.entropy(inputs)
        assert entropy is not None
        np.testing.assert_allclose(entropy, normal.entropy().sum(axis=1))
        np.testing.assert_array_equal(gaussian.mode(inputs), inputs[:, means])
        found_means, found_deviations = gaussian.moments(inputs)
        np.testing.assert_array_equal(found_means, inputs[:, means])
        np.testing.assert_allclose(found_deviations, np.exp(inputs[:, log_stds]))

    def test_draws_follow_each_dimensions_own_normal(self) -> None:
        inputs = np.array([[2.0, -1.0, 0.7, -2.0]])
        draws = DiagonalGaussian((2,)).sample(
            np.repeat(inputs, 20_000, axis=0), np.random.default_rng(8)
        )
        for column, (mean, log_std) in enumerate([(2.0, 0.7), (-1.0, -2.0)]):
            fit = scipy.stats.kstest(draws[:, column], scipy.stats.norm(mean, np.exp(log_std)).cdf)
            assert fit.pvalue > 1e-3
        assert abs(scipy.stats.pearsonr(*draws.T).statistic) < 0.03

    def test_a_density_may_exceed_one(self) -> None:
        inputs = np.array([[0.0, -5.0]])
        gaussian = DiagonalGaussian((1,))
        found = density(gaussian.log_probability(inputs, gaussian.mode(inputs)))
        assert found[0] == pytest.approx(scipy.stats.norm(0, np.exp(-5)).pdf(0))
        assert found[0] > 50

    @pytest.mark.parametrize("log_std", [-50.0, -745.0, -1000.0, -3.4e38])
    @pytest.mark.parametrize("mean", [0.0, 1.0, -3.4e38])
    def test_a_tiny_deviation_gives_a_finite_answer(self, log_std: float, mean: float) -> None:
        inputs = np.array([[mean, mean, log_std, log_std]])
        gaussian = DiagonalGaussian((2,))
        gaussian.check(inputs)
        actions = gaussian.sample(inputs, np.random.default_rng(9))
        np.testing.assert_allclose(actions, [[mean, mean]], rtol=1e-12, atol=1e-20)
        found = density(gaussian.log_probability(inputs, gaussian.mode(inputs)))
        assert np.isfinite(found).all()
        assert found[0] > 1e40
        entropy = gaussian.entropy(inputs)
        assert entropy is not None
        assert np.isfinite(entropy).all()
        elsewhere = density(gaussian.log_probability(inputs, actions + 1e36))
        np.testing.assert_array_equal(elsewhere, [0.0])

    @pytest.mark.parametrize("log_std", [10.0, 88.7])
    def test_a_huge_deviation_gives_a_finite_answer(self, log_std: float) -> None:
        inputs = np.tile([3.4e38, log_std], (1000, 1))
        gaussian = DiagonalGaussian((1,))
        gaussian.check(inputs)
        actions = gaussian.sample(inputs, np.random.default_rng(10))
        assert np.isfinite(actions).all()
        np.testing.assert_allclose(
            gaussian.log_probability(inputs, actions),
            scipy.stats.norm(3.4e38, np.exp(log_std)).logpdf(actions[:, 0]),
        )

    @pytest.mark.parametrize(
        "row", [[np.nan, 0], [np.inf, 0], [-np.inf, 0], [0, np.nan], [0, np.inf], [0, -np.inf]]
    )
    def test_what_is_not_finite_is_refused(self, row: list[float]) -> None:
        with pytest.raises(NotFinite, match="not finite"):
            DiagonalGaussian((1,)).check(np.array([[0.0, 0.0], row]))

    @pytest.mark.parametrize("log_std", [89.0, 706.0, 710.0, 3.4e38])
    def test_a_deviation_whose_draws_may_overflow_is_refused(self, log_std: float) -> None:
        with pytest.raises(NotFinite, match="beyond float32"):
            DiagonalGaussian((1,)).check(np.array([[0.0, log_std]]))


ALL: list[tuple[Distribution, int]] = [
    (Categorical((3,)), 3),
    (Categorical((2, 3)), 5),
    (Greedy((3,)), 3),
    (DiagonalGaussian((1,)), 2),
    (DiagonalGaussian((2, 1)), 6),
]


class TestEveryFamily:
    @pytest.mark.parametrize(("distribution", "width"), ALL)
    def test_a_batch_begins_with_the_draws_of_its_first_rows(
        self, distribution: Distribution, width: int
    ) -> None:
        inputs = np.random.default_rng(11).standard_normal((6, width))
        whole = distribution.sample(inputs, np.random.default_rng(12))
        for rows in range(1, 6):
            part = distribution.sample(inputs[:rows], np.random.default_rng(12))
            np.testing.assert_array_equal(part, whole[:rows])

    @pytest.mark.parametrize(("distribution", "width"), ALL)
    def test_an_empty_batch_is_answered(self, distribution: Distribution, width: int) -> None:
        inputs = np.empty((0, width))
        distribution.check(inputs)
        drawn = distribution.sample(inputs, np.random.default_rng(0))
        assert drawn.shape == distribution.mode(inputs).shape
        assert len(drawn) == 0
        for each in (distribution.log_probability(inputs, drawn), distribution.entropy(inputs)):
            assert each is not None
            assert each.shape == (0,)


class TestFunctions:
    def test_log_softmax_is_scipys(self) -> None:
        logits = np.array([[1.0, -np.inf, 3.0], [700.0, -700.0, 0.0]])
        found = log_softmax(logits)
        np.testing.assert_allclose(found, scipy.special.log_softmax(logits, axis=1), rtol=1e-12)

    def test_density_stays_a_number(self) -> None:
        found = density(np.array([-np.inf, -1.0, 0.0, 709.0, 1e308]))
        np.testing.assert_allclose(found[:4], [0, np.exp(-1), 1, np.exp(709)])
        assert np.isfinite(found).all()
