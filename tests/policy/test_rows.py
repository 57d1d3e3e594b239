"""One decision in plain Python is that which NumPy makes of whole batches."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.errors import ObservationError
from policy_server.policy.answers import Answers, Query
from policy_server.policy.families.beta import Beta
from policy_server.policy.families.binary import Binary
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.deterministic import Deterministic
from policy_server.policy.families.family import Array, Draw, Family, NotFinite
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.given import Given
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.mixed import Mixed, MixedMeans
from policy_server.policy.families.numbered import NumberedFamily
from policy_server.policy.families.probabilities import Probabilities
from policy_server.policy.families.real import density
from policy_server.policy.families.registry import FAMILIES as REGISTERED
from policy_server.policy.families.squashed import SquashedGaussian
from policy_server.policy.families.terms import Rule
from policy_server.policy.output_mapper import OutputMapper
from tests.support.contracts import actions_of

FAMILIES: list[Family] = [
    *(Categorical((1,)), Categorical((5,)), Categorical((2, 3, 4))),
    *(Probabilities((2,)), Probabilities((2, 3)), Greedy((1,)), Greedy((4,)), Costs((4,))),
    *(Given((1,)), Given((1, 1)), DiagonalGaussian((1,)), DiagonalGaussian((3,))),
    *(DiagonalGaussian((1, 2, 1)), Deterministic((1,)), Deterministic((2, 1))),
    *(Binary((2,)), Binary((2, 2, 2)), Greedy((2, 3)), Costs((3, 1))),
    *(Greedy((4,), epsilon=0.1), Greedy((2, 3), epsilon=1.0), Costs((3,), epsilon=1e-9)),
    *(SquashedGaussian((1,)), SquashedGaussian((2, 1)), Beta((1,)), Beta((1, 2))),
    *(Mixed((3, 0, 0)), Mixed((0, 2, 0, 3)), MixedMeans((2, 0)), MixedMeans((0, 0, 3))),
]
MASKS = (-math.inf, -3.4e38, -1e38, float(np.finfo(np.float32).min))
ODD = (*MASKS, math.nan, math.inf, 3.4e38, 88.7, 89.0, -800.0, 0.0, -0.0, 1e-300)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(st.floats(-20, 20), FLOAT32, st.sampled_from(ODD))
MANY = settings(max_examples=75, deadline=None, derandomize=True)

families = pytest.mark.parametrize("family", FAMILIES, ids=lambda each: type(each).__name__)


def row_of(family: Family) -> st.SearchStrategy[list[float]]:
    width = family.input_width
    ordinary = st.lists(st.floats(-5, 5), min_size=width, max_size=width)
    return ordinary.map(lambda row: meant(family, row)) | st.lists(
        NUMBERS, min_size=width, max_size=width
    )


def meant(family: Family, row: list[float]) -> list[float]:
    """A row as a network of that family would put it out."""
    if isinstance(family, Given):
        return [float(round(abs(number))) for number in row]
    if isinstance(family, Beta):
        return [math.exp(number) for number in row]
    if not isinstance(family, Probabilities):
        return row
    heads = np.split(np.array(row), np.cumsum(family.sizes)[:-1])
    shares = [np.abs(head) + (not head.any()) for head in heads]
    return [float(share) for head in shares for share in head / head.sum()]


def decide(family: Family, row: list[float], draw: Draw | None) -> tuple[list[Any], float | None]:
    actions, probability = family.decide(row, draw)
    return list(actions), probability


def drawing(family: Family, seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    sources: dict[str, Draw] = {"normal": rng.standard_normal, "beta": rng.beta}
    return sources.get(family.source, rng.random)


def likelihood(family: Family, inputs: Array, actions: Any) -> float | None:
    logs = family.log_probability(inputs, np.array([actions]))
    if logs is None:
        return None
    return float((np.exp(logs) if isinstance(family, NumberedFamily) else density(logs))[0])


def assert_alike(alone: float | None, together: float | None, most: float = 1e-9) -> None:
    assert (alone is None) == (together is None)
    if together is not None:
        assert alone == pytest.approx(together, rel=most)


def sound(family: Family, inputs: Array) -> bool:
    try:
        family.check(inputs)
    except NotFinite:
        return False
    return True


def test_every_family_is_held_to_this() -> None:
    assert {type(family) for family in FAMILIES} == set(REGISTERED.values())


@families
def test_modes_are_those_of_a_batch(family: Family) -> None:
    @MANY
    @given(row_of(family))
    def same(row: list[float]) -> None:
        inputs = np.array([row])
        if not sound(family, inputs):
            with pytest.raises(NotFinite):
                decide(family, row, None)
            return
        actions, probability = decide(family, row, None)
        assert actions == pytest.approx(family.mode(inputs)[0].tolist(), rel=1e-15)
        assert_alike(probability, likelihood(family, inputs, actions))

    same()


RULES: dict[Rule, Callable[..., float]] = {
    Rule.LARGEST: lambda *each: each.index(max(each)),
    Rule.SMALLEST: lambda *each: each.index(min(each)),
    Rule.POSITIVE: lambda each: float(each > 0),
    Rule.NUMBER: lambda each: each,
    Rule.TANH: math.tanh,
    Rule.SHARE: lambda first, second: first / (first + second),
}


@families
def test_modes_follow_by_the_rules_that_programs_without_a_server_have(family: Family) -> None:
    terms = family.mode_terms()
    assert terms is not None

    @MANY
    @given(row_of(family))
    def same(row: list[float]) -> None:
        with np.errstate(over="ignore"):
            inputs = np.array([row], np.float32).astype(np.float64)
        if sound(family, inputs):
            numbers = inputs[0].tolist()
            found = [RULES[each.rule](*(numbers[place] for place in each.places)) for each in terms]
            assert found == pytest.approx(family.mode(inputs)[0].tolist(), rel=1e-12)

    same()


@families
def test_draws_are_those_of_a_batch(family: Family) -> None:
    @MANY
    @given(row_of(family), st.integers(0, 2**32))
    def same(row: list[float], seed: int) -> None:
        inputs = np.array([row])
        if not sound(family, inputs):
            with pytest.raises(NotFinite):
                decide(family, row, drawing(family, seed))
            return
        actions, probability = decide(family, row, drawing(family, seed))
        expected = family.sample(inputs, np.random.default_rng(seed))[0].tolist()
        assert actions == pytest.approx(expected)
        assert_alike(probability, likelihood(family, inputs, actions), 1e-6)

    same()


@families
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -3.4e38, 3.4e38])
def test_any_odd_number_at_any_place_is_judged_alike(family: Family, odd: float) -> None:
    for place in range(family.input_width):
        row = [0.5 * index for index in range(family.input_width)]
        row[place] = odd
        if sound(family, np.array([row])):
            actions, probability = decide(family, row, drawing(family, 1))
            expected = family.sample(np.array([row]), np.random.default_rng(1))[0].tolist()
            assert actions == pytest.approx(expected)
            assert probability is None or math.isfinite(probability)
        else:
            for draw in (None, drawing(family, 1)):
                with pytest.raises(NotFinite) as alone:
                    decide(family, row, draw)
                with pytest.raises(NotFinite) as together:
                    family.check(np.array([row]))
                assert str(alone.value) == str(together.value)


@pytest.mark.parametrize("uniform", [0.0, 5e-324, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("mask", MASKS)
def test_a_masked_action_is_never_drawn(uniform: float, mask: float) -> None:
    for masked in ((0,), (2,), (0, 1), (1, 2)):
        row = [mask if index in masked else 0.1 * index for index in range(3)]
        (action,), probability = Categorical((3,)).decide(row, lambda: uniform)
        assert action not in masked
        assert 0.0 < probability <= 1.0


@families
@pytest.mark.parametrize("query", ["draw", "mode"])
def test_an_answer_alone_is_that_of_the_first_of_a_batch(family: Family, query: Query) -> None:
    answers = Answers(family, actions_of(tuple_=True), OutputMapper())
    rng = np.random.default_rng(3)
    for seed in range(50):
        rows = rng.standard_normal((4, family.input_width)).tolist()
        inputs = np.array([meant(family, row) for row in rows], np.float32)
        (alone,) = answers.give(inputs[:1], query, seed)
        first = answers.give(inputs, query, seed)[0]
        assert alone.keys() == first.keys()
        for name, value in alone.items():
            expected = value if name == "meanings" else pytest.approx(value, rel=1e-9)
            assert first[name] == expected
        assert answers.give(inputs[:1], query, seed) == [alone]


@families
def test_what_makes_no_distribution_is_told_alike(family: Family) -> None:
    answers = Answers(family, actions_of(tuple_=True), OutputMapper())
    bad = np.full((1, family.input_width), math.nan, np.float32)
    with pytest.raises(ObservationError) as alone:
        answers.give(bad, "draw")
    good = np.array([meant(family, [0.0] * family.input_width)], np.float32)
    with pytest.raises(ObservationError) as together:
        answers.give(np.concatenate([good, bad]), "draw")
    (one,), (other,) = alone.value.faults, together.value.faults
    assert (one.place, other.place) == ("", "/observations/1")
    assert one.detail == other.detail
