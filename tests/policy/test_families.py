"""Families beyond logits and Gaussians, against SciPy, brute force and counted draws."""

import decimal
import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.policy.answers import Answers
from policy_server.policy.families.beta import Beta, digamma
from policy_server.policy.families.binary import Binary
from policy_server.policy.families.family import Array, Family, NotFinite
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.mixed import Mixed, MixedMeans
from policy_server.policy.families.squashed import LAST, SquashedGaussian
from policy_server.policy.output_mapper import OutputMapper
from tests.support.contracts import actions_of

DRAWS = 20_000
LEAST = 1e-4
"""Of p-values: a right family fails a test with one of ten thousand seeds; seeds are fixed."""
MANY = settings(max_examples=200, deadline=None, derandomize=True)
WAYS = ["batch", "alone"]
"""The two ways through a policy: many rows at once, or one row each with a seed of its own."""


def drawn(family: Family, row: list[float], way: str) -> Array:
    """Actions float64[DRAWS, H] as a policy answers them."""
    answers = Answers(family, actions_of(tuple_=True), OutputMapper())
    rows = np.tile(np.array(row, np.float32), (DRAWS, 1))
    if way == "batch":
        given_ = answers.give(rows, "draw", 7)
    else:
        given_ = [answers.give(rows[:1], "draw", seed)[0] for seed in range(DRAWS)]
    return np.array([answer["actions"] for answer in given_], dtype=np.float64)


def logs(family: Family, inputs: Array, actions: Any) -> Array:
    found = family.log_probability(inputs, np.asarray(actions))
    assert found is not None
    return found


class TestSquashedGaussian:
    ROWS = np.array([[0.3, -1.2, -0.5, 0.4], [2.5, -4.0, -2.0, -0.3]])

    def test_densities_are_those_of_the_squashed_numbers(self) -> None:
        """By differences of the distribution function, which SciPy has."""
        means, deviations = self.ROWS[:, :2], np.exp(self.ROWS[:, 2:])
        actions = np.tanh(means + 0.7 * deviations)
        step = 1e-6 * (1 - np.abs(actions))
        normal = scipy.stats.norm(means, deviations)
        sides = [normal.cdf(np.arctanh(actions + side * step)) for side in (1, -1)]
        expected = np.log((sides[0] - sides[1]) / (2 * step)).sum(axis=1)
        found = logs(SquashedGaussian((2,)), self.ROWS, actions)
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    @pytest.mark.parametrize("log_std", [-3.0, -1.0, 0.0, 1.0])
    @pytest.mark.parametrize("mean", [0.0, 0.8, -3.0])
    def test_densities_sum_to_one(self, mean: float, log_std: float) -> None:
        family, inputs = SquashedGaussian((1,)), np.array([[mean, log_std]])

        def density(before: float) -> float:
            action = np.tanh(before)
            return float(np.exp(logs(family, inputs, [[action]])[0]) * (1 - action**2))

        reach = 9 * math.exp(log_std)
        points = [mean + share * reach for share in (-0.5, 0.0, 0.5)]
        total, _ = scipy.integrate.quad(
            density, max(mean - reach, -17), min(mean + reach, 17), points=points, limit=200
        )
        assert total == pytest.approx(1, abs=1e-6)

    @pytest.mark.parametrize("mean", [0.0, 6.0, -12.0, 18.0, 25.0, 300.0])
    @pytest.mark.parametrize("log_std", [-20.0, -5.0, 0.0, 2.0])
    def test_the_density_of_the_mode_is_exact_however_near_the_bounds(
        self, mean: float, log_std: float
    ) -> None:
        """log N(mean) - log(1 - tanh^2), which is cosh^-2, computed with 60 digits."""
        with decimal.localcontext(prec=60):
            power = Decimal(mean).exp()
            slope = -2 * ((power + 1 / power) / 2).ln()
            expected = float(Decimal(scipy.stats.norm.logpdf(0)) - Decimal(log_std) - slope)
        family, inputs = SquashedGaussian((1,)), np.array([[mean, log_std]])
        mode = family.mode(inputs)
        assert abs(mode[0, 0]) < 1
        assert logs(family, inputs, mode)[0] == pytest.approx(expected, rel=1e-12)
        _, probability = family.decide([mean, log_std], None)
        assert probability == pytest.approx(math.exp(min(expected, 709)), rel=1e-9)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("mean", "log_std"), [(0.3, -0.5), (-2.0, 0.7), (0.0, -4.0)])
    def test_draws_follow_it(self, mean: float, log_std: float, way: str) -> None:
        found = drawn(SquashedGaussian((2,)), [mean, 0.1, log_std, 0.2], way)
        for column, normal in enumerate(
            [scipy.stats.norm(mean, np.exp(log_std)), scipy.stats.norm(0.1, np.exp(0.2))]
        ):
            fit = scipy.stats.kstest(found[:, column], lambda x, n=normal: n.cdf(np.arctanh(x)))
            assert fit.pvalue > LEAST
        assert abs(scipy.stats.pearsonr(*found.T).statistic) < 0.03

    @pytest.mark.parametrize("log_std", [-20.0, -6.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 2.0, 8.0, 80.0])
    @pytest.mark.parametrize("mean", [0.0, 0.4, -2.0, 7.0])
    def test_moments_are_those_of_an_integral(self, mean: float, log_std: float) -> None:
        deviation = math.exp(log_std)

        def expected(power: int, centre: float) -> float:
            def integrand(z: float) -> float:
                number = math.tanh(mean + deviation * z) - centre
                return float(number**power * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))

            turn = -mean / deviation
            ends = sorted({-12.0, *(turn + x / deviation for x in (-20, -5, 0, 5, 20)), 0.0, 12.0})
            kept = [end for end in ends if -12 <= end <= 12]
            pieces = itertools.pairwise(kept)
            sums = [
                scipy.integrate.quad(integrand, *piece, epsabs=1e-15, epsrel=1e-12, limit=200)[0]
                for piece in pieces
            ]
            return float(np.sum(sums))

        means, deviations = SquashedGaussian((1,)).moments(np.array([[mean, log_std]]))
        centre = expected(1, 0.0)
        assert means[0, 0] == pytest.approx(centre, abs=1e-12)
        assert deviations[0, 0] == pytest.approx(
            math.sqrt(expected(2, centre)), rel=1e-6, abs=1e-12
        )

    def test_a_narrow_one_has_the_deviation_of_its_slope(self) -> None:
        """Where the integral above has lost its digits."""
        mean, log_std = 0.4, -18.0
        _, deviations = SquashedGaussian((1,)).moments(np.array([[mean, log_std]]))
        slope = 1 / math.cosh(mean) ** 2
        assert deviations[0, 0] == pytest.approx(slope * math.exp(log_std), rel=1e-9)

    def test_it_has_no_entropy_and_ends_before_its_bounds(self) -> None:
        family: Family = SquashedGaussian((1,))
        inputs = np.array([[3e38, -20.0], [-50.0, 88.0], [0.0, -800.0]])
        family.check(inputs)
        assert family.entropy(inputs) is None
        np.testing.assert_array_equal(family.mode(inputs), [[LAST], [-LAST], [0.0]])
        assert (np.abs(family.sample(inputs, np.random.default_rng(0))) <= LAST).all()
        assert family.can_take(np.array([[1.0], [-1.0]]))
        assert not family.can_take(np.array([[1.1]]))
        assert not np.isnan(logs(family, inputs, [[1.0], [1.0], [0.0]])).any()


PAIRS = [(2.0, 3.0), (1.0, 1.0), (0.5, 0.5), (0.2, 7.0), (50.0, 1.5), (1e-3, 1e-3), (4e3, 9e3)]


class TestBeta:
    @pytest.mark.parametrize(("alpha", "beta"), PAIRS)
    def test_it_is_scipys(self, alpha: float, beta: float) -> None:
        family, row = Beta((2,)), [alpha, 2.5, beta, 0.7]
        inputs = np.array([row] * 40)
        theirs = [scipy.stats.beta(alpha, beta), scipy.stats.beta(2.5, 0.7)]
        actions = family.sample(inputs, np.random.default_rng(3))
        expected = sum(each.logpdf(column) for each, column in zip(theirs, actions.T, strict=True))
        np.testing.assert_allclose(logs(family, inputs, actions), expected, rtol=1e-9, atol=1e-9)
        means, deviations = family.moments(inputs)
        np.testing.assert_allclose(means[0], [each.mean() for each in theirs], rtol=1e-12)
        np.testing.assert_allclose(deviations[0], [each.std() for each in theirs], rtol=1e-12)
        np.testing.assert_allclose(family.mode(inputs), means)
        entropy = family.entropy(inputs)
        np.testing.assert_allclose(entropy, sum(each.entropy() for each in theirs), rtol=1e-9)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(("alpha", "beta"), [(2.0, 3.0), (0.5, 0.5), (0.2, 7.0), (400.0, 90.0)])
    def test_draws_follow_it(self, alpha: float, beta: float, way: str) -> None:
        found = drawn(Beta((2,)), [alpha, 1.5, beta, 1.5], way)
        for column, pair in zip(found.T, [(alpha, beta), (1.5, 1.5)], strict=True):
            # Of the numbers that the network says in float32.
            theirs = scipy.stats.beta(*np.array(pair, np.float32).astype(float))
            assert scipy.stats.kstest(column, theirs.cdf).pvalue > LEAST
        assert abs(scipy.stats.pearsonr(*found.T).statistic) < 0.03

    def test_small_ones_lie_at_both_bounds_and_never_on_them(self) -> None:
        found = drawn(Beta((1,)), [1e-3, 1e-3], "batch")
        assert ((found > 0) & (found < 1)).all()
        share = float((found > 0.5).mean())
        assert share == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / DRAWS))

    @MANY
    @given(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6), st.floats(0.001, 0.999))
    def test_extremes_are_scipys_too(self, alpha: float, beta: float, action: float) -> None:
        inputs = np.array([[alpha, beta]])
        theirs = scipy.stats.beta(alpha, beta)
        expected = float(theirs.logpdf(action))
        if expected > -1e5:
            size = 1 + max(alpha, beta)
            assert logs(Beta((1,)), inputs, [[action]])[0] == pytest.approx(
                expected, rel=1e-9, abs=1e-14 * size * math.log(size + 2) + 1e-10
            )

    @pytest.mark.parametrize("row", [[0.0, 1.0], [1.0, -2.0], [math.nan, 1.0], [1.0, math.inf]])
    def test_what_is_not_positive_is_refused(self, row: list[float]) -> None:
        with pytest.raises(NotFinite, match="no positive number"):
            Beta((1,)).check(np.array([[1.0, 1.0], row]))

    @pytest.mark.parametrize("row", [[3e38, 3e38], [1e-45, 1e-45], [1e-45, 3e38], [1e38, 1e-3]])
    def test_the_largest_and_smallest_numbers_give_finite_answers(self, row: list[float]) -> None:
        family, inputs = Beta((1,)), np.array([row])
        family.check(inputs)
        for draw in (None, np.random.default_rng(1).beta):
            (action,), density = family.decide(row, draw)
            assert 0 < action < 1
            assert math.isfinite(density)
        assert np.isfinite(family.entropy(inputs)).all()
        assert np.isfinite(family.moments(inputs)).all()

    def test_digamma_is_scipys(self) -> None:
        numbers = np.concatenate([np.geomspace(1e-8, 1e12, 4001), np.linspace(0.1, 30, 3001)])
        expected = scipy.special.digamma(numbers)
        near = np.abs(expected) < 0.1  # at its root, relative error says nothing
        np.testing.assert_allclose(digamma(numbers)[~near], expected[~near], rtol=1e-12)
        np.testing.assert_allclose(digamma(numbers)[near], expected[near], atol=1e-13)


class TestBinary:
    LOGITS = np.array([[0.3, -2.0, 40.0], [-800.0, -3.4e38, 0.0]])

    def test_it_is_a_bernoulli_of_each_logit(self) -> None:
        family, chances = Binary((2, 2, 2)), scipy.special.expit(self.LOGITS)
        family.check(self.LOGITS)
        assert family.input_width == 3
        for actions in itertools.product((0, 1), repeat=3):
            shares = np.where(np.array(actions) == 1, chances, scipy.special.expit(-self.LOGITS))
            found = np.exp(logs(family, self.LOGITS, [actions, actions]))
            np.testing.assert_allclose(found, shares.prod(axis=1), rtol=1e-12)
        expected = scipy.stats.bernoulli(chances).entropy().sum(axis=1)
        np.testing.assert_allclose(family.entropy(self.LOGITS), expected, rtol=1e-9, atol=1e-14)
        np.testing.assert_array_equal(family.mode(self.LOGITS), [[1, 0, 1], [0, 0, 0]])

    @pytest.mark.parametrize("way", WAYS)
    def test_draws_follow_it(self, way: str) -> None:
        row = [0.3, -2.0, 1.2]
        found = drawn(Binary((2, 2, 2)), row, way)
        cells = (found @ [4, 2, 1]).astype(int)
        chances = scipy.special.expit(np.array(row, np.float32).astype(float))
        expected = [
            DRAWS * np.prod([p if bit else 1 - p for p, bit in zip(chances, bits, strict=True)])
            for bits in itertools.product((0, 1), repeat=3)
        ]
        assert scipy.stats.chisquare(np.bincount(cells, minlength=8), expected).pvalue > LEAST


def explored(values: Array, epsilon: float) -> Array:
    """The probability of each action, counted out by hand."""
    allowed = [index for index, value in enumerate(values) if value > -1e38]
    best = max(allowed, key=lambda index: values[index])
    shares = np.zeros(len(values))
    shares[allowed] = epsilon / len(allowed)
    shares[best] += 1 - epsilon
    return shares


class TestExploration:
    ROW = (1.0, 3.0, 2.0, -np.inf, 5.0, -1.0)
    SIZES = (4, 2)

    @pytest.mark.parametrize("family", [Greedy, Costs])
    @pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.5, 1.0])
    def test_probabilities_are_exact(self, family: type[Greedy], epsilon: float) -> None:
        row = np.array(self.ROW) * family.sign
        policy, inputs = family(self.SIZES, epsilon=epsilon), row[np.newaxis]
        values = [np.array(self.ROW[:4]), np.array(self.ROW[4:])]
        expected = [explored(each, epsilon) for each in values]
        policy.check(inputs)
        for (_, found), wanted in zip(policy.weighed(inputs), expected, strict=True):
            np.testing.assert_allclose(found[0], wanted, rtol=1e-12)
        entropy = sum(scipy.stats.entropy(each) for each in expected)
        np.testing.assert_allclose(policy.entropy(inputs), entropy, rtol=1e-9, atol=1e-14)
        np.testing.assert_array_equal(policy.mode(inputs), [[1, 0]])
        actions, probability = policy.decide(row.tolist(), None)
        assert actions == [1, 0]
        assert probability == pytest.approx(expected[0][1] * expected[1][0], rel=1e-12)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("family", [Greedy, Costs])
    def test_draws_follow_them(self, family: type[Greedy], way: str) -> None:
        row = [family.sign * value for value in self.ROW]
        found = drawn(family(self.SIZES, epsilon=0.3), row, way).astype(int)
        cells = np.bincount(found @ [2, 1], minlength=8)
        heads = explored(np.array(self.ROW[:4]), 0.3), explored(np.array(self.ROW[4:]), 0.3)
        expected = DRAWS * np.outer(*heads).ravel()
        possible = expected > 0
        assert cells[~possible].sum() == 0
        assert scipy.stats.chisquare(cells[possible], expected[possible]).pvalue > LEAST

    @MANY
    @given(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=6)
        .filter(lambda row: max(row) > -1e38),
        st.floats(1e-12, 1.0),
        st.sampled_from([0.0, 2.0**-53, 0.5, 1 - 2.0**-53]),
    )  # fmt: skip
    def test_an_action_without_probability_is_never_taken(
        self, row: list[float], epsilon: float, uniform: float
    ) -> None:
        (action,), probability = Greedy((len(row),), epsilon).decide(row, lambda: uniform)
        assert row[action] > -1e38
        assert probability == pytest.approx(explored(np.array(row), epsilon)[action], rel=1e-12)


@pytest.mark.parametrize("family", [Greedy, Costs])
def test_heads_of_unequal_sizes_take_their_own_best(family: type[Greedy]) -> None:
    inputs = np.random.default_rng(5).standard_normal((30, 9))
    expected = [
        (family.sign * inputs[:, start:end]).argmax(axis=1)
        for start, end in ((0, 2), (2, 7), (7, 9))
    ]
    policy = family((2, 5, 2))
    np.testing.assert_array_equal(policy.mode(inputs), np.stack(expected, axis=1))
    np.testing.assert_array_equal(policy.log_probability(inputs, policy.mode(inputs)), 0.0)
    np.testing.assert_array_equal(policy.entropy(inputs), 0.0)
    with pytest.raises(NotFinite, match="every action is masked"):
        family((2, 5, 2)).check(np.where(np.arange(9) > 6, -family.sign * np.inf, inputs))


class TestMixed:
    """A dimension, a head of two, two dimensions that follow each other, a head of three."""

    SIZES = (0, 2, 0, 0, 3)
    HEADS = ((2, 4), (8, 11))
    MEANS, LOG_STDS = (0, 4, 5), (1, 6, 7)
    ROW = (0.4, -1.0, 0.2, -0.3, 1.5, -2.0, 0.5, -0.7, 1.0, 0.0, -1.0)

    def test_the_density_is_that_of_all_together(self) -> None:
        family = Mixed(self.SIZES)
        inputs = np.random.default_rng(4).standard_normal((30, 11))
        assert family.input_width == 11
        actions = family.sample(inputs, np.random.default_rng(5))
        normal = scipy.stats.norm(inputs[:, self.MEANS], np.exp(inputs[:, self.LOG_STDS]))
        soft = [scipy.special.log_softmax(inputs[:, slice(*ends)], axis=1) for ends in self.HEADS]
        numbers = np.asarray(actions, np.float64)
        expected = normal.logpdf(numbers[:, [0, 2, 3]]).sum(axis=1)
        for head, place in zip(soft, (1, 4), strict=True):
            expected += head[np.arange(30), numbers[:, place].astype(int)]
        np.testing.assert_allclose(logs(family, inputs, actions), expected, rtol=1e-9)
        entropy = normal.entropy().sum(axis=1)
        entropy += sum(scipy.stats.entropy(np.exp(head), axis=1) for head in soft)
        found = family.entropy(inputs)
        assert found is not None
        np.testing.assert_allclose(found, entropy, rtol=1e-9)

    @pytest.mark.parametrize("way", WAYS)
    def test_draws_follow_it(self, way: str) -> None:
        found = drawn(Mixed(self.SIZES), list(self.ROW), way)
        for place, mean, log_std in zip((0, 2, 3), self.MEANS, self.LOG_STDS, strict=True):
            normal = scipy.stats.norm(self.ROW[mean], np.exp(self.ROW[log_std]))
            assert scipy.stats.kstest(found[:, place], normal.cdf).pvalue > LEAST
        shares = [scipy.special.softmax(self.ROW[slice(*ends)]) for ends in self.HEADS]
        cells = np.bincount((found[:, [1, 4]] @ [3, 1]).astype(int), minlength=6)
        expected = DRAWS * np.outer(*shares).ravel()
        assert scipy.stats.chisquare(cells, expected).pvalue > LEAST
        assert np.abs(np.corrcoef(found.T) - np.eye(5)).max() < 0.03

    @pytest.mark.parametrize("rows", [1, 3])
    def test_answers_have_both(self, rows: int) -> None:
        answers = Answers(Mixed(self.SIZES), actions_of(tuple_=True), OutputMapper())
        inputs = np.tile(np.array(self.ROW, np.float32), (rows, 1))
        for answer in answers.give(inputs, "mode"):
            assert answer["actions"] == pytest.approx([0.4, 0, 1.5, -2.0, 0])
            assert [type(each) for each in answer["actions"]] == [float, int, float, float, int]
            assert answer.keys() == {"actions", "density"}
        for answer in answers.give(inputs, "describe"):
            assert [len(head["actions"]) for head in answer["heads"]] == [2, 3]
            assert [each["mean"] for each in answer["dimensions"]] == pytest.approx([0.4, 1.5, -2])
            assert "entropy" in answer

    def test_dimensions_that_are_given_have_no_density(self) -> None:
        family: Family = MixedMeans((2, 0, 0))
        answers = Answers(family, actions_of(tuple_=True), OutputMapper())
        inputs = np.tile(np.array([0.0, 3.0, -1.5, 0.25], np.float32), (DRAWS, 1))
        given_ = answers.give(inputs, "draw", 1)
        assert given_[0].keys() == {"actions"}
        assert {tuple(each["actions"][1:]) for each in given_} == {(-1.5, 0.25)}
        ones = sum(each["actions"][0] for each in given_)
        chance = scipy.special.expit(3.0)
        assert scipy.stats.binomtest(ones, DRAWS, chance).pvalue > LEAST
        assert family.entropy(inputs.astype(np.float64)) is None
        (weighed,) = answers.give(inputs[:1], "describe")
        assert [each["standard_deviation"] for each in weighed["dimensions"]] == [0.0, 0.0]

    def test_a_mask_forbids_actions_of_heads_alone(self) -> None:
        family, row = Mixed(self.SIZES), np.array([self.ROW], np.float32)
        allowed = np.array([[True, False, False, False, True]])
        masked = family.forbid(row, allowed, self.SIZES).astype(np.float64)
        np.testing.assert_array_equal(np.isneginf(masked[0]).nonzero()[0], [3, 8, 9])
        np.testing.assert_array_equal(np.asarray(family.mode(masked)[:, [1, 4]], int), [[0, 2]])


def test_a_mask_of_binary_actions_forbids_either() -> None:
    family = Binary((2, 2, 2))
    allowed = np.array([[True, False, False, True, True, True]])
    masked = family.forbid(np.array([[5.0, -5.0, 0.0]], np.float32), allowed, (2, 2, 2))
    inputs = masked.astype(np.float64)
    family.check(inputs)
    found = [shares[0].tolist() for _, shares in family.weighed(inputs)]
    assert found == [[1, 0], [0, 1], [0.5, 0.5]]
    actions, probability = family.decide(masked[0].tolist(), None)
    assert actions[:2] == [0, 1]
    assert probability == 0.5
