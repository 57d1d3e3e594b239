"""One decision in plain Python is that which NumPy makes of whole batches."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.errors import ObservationError
from policy_server.policy.answers import Answers, Decision
from policy_server.policy.distributions import (
    Array,
    Categorical,
    DiagonalGaussian,
    Discrete,
    Greedy,
    NotFinite,
    density,
)
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.rows import Draw, decide_categorical, decide_gaussian, decide_greedy

Family = Discrete | DiagonalGaussian
FAMILIES: list[Family] = [
    *(Categorical((1,)), Categorical((2,)), Categorical((5,)), Categorical((2, 3, 4))),
    *(Greedy(1), Greedy(4), DiagonalGaussian((1,)), DiagonalGaussian((3,))),
    DiagonalGaussian((1, 2, 1)),
]
MASKS = (-math.inf, -3.4e38, -1e38, float(np.finfo(np.float32).min))
ODD = (*MASKS, math.nan, math.inf, 3.4e38, 88.7, 89.0, -800.0, 0.0, -0.0, 1e-300)
FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
NUMBERS = st.one_of(st.floats(-20, 20), FLOAT32, st.sampled_from(ODD))
MANY = settings(max_examples=400, deadline=None, derandomize=True)

families = pytest.mark.parametrize("family", FAMILIES, ids=lambda each: type(each).__name__)


def row_of(family: Family) -> st.SearchStrategy[list[float]]:
    width = family.input_width
    ordinary = st.lists(st.floats(-5, 5), min_size=width, max_size=width)
    return ordinary | st.lists(NUMBERS, min_size=width, max_size=width)


def decide(family: Family, row: list[float], draw: Draw | None) -> tuple[list[Any], float]:
    if isinstance(family, DiagonalGaussian):
        return decide_gaussian(row, family.component_sizes, draw)
    if isinstance(family, Categorical):
        return decide_categorical(row, family.head_sizes, draw)
    return decide_greedy(row)


def drawing(family: Family, seed: int) -> Draw:
    rng = np.random.default_rng(seed)
    return rng.standard_normal if isinstance(family, DiagonalGaussian) else rng.random


def likelihood(family: Family, inputs: Array, actions: Any) -> float:
    logs = family.log_probability(inputs, np.array([actions]))
    return float((density(logs) if isinstance(family, DiagonalGaussian) else np.exp(logs))[0])


def sound(family: Family, inputs: Array) -> bool:
    try:
        family.check(inputs)
    except NotFinite:
        return False
    return True


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
        assert actions == family.mode(inputs)[0].tolist()
        assert probability == pytest.approx(likelihood(family, inputs, actions), rel=1e-9)

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
        assert probability == pytest.approx(likelihood(family, inputs, actions), rel=1e-6)

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
            assert math.isfinite(probability)
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
        (action,), probability = decide_categorical(row, (3,), lambda: uniform)
        assert action not in masked
        assert 0.0 < probability <= 1.0


@families
@pytest.mark.parametrize("decision", ["draw", "mode"])
def test_an_answer_alone_is_that_of_the_first_of_a_batch(
    family: Family, decision: Decision
) -> None:
    answers = Answers(family, True, OutputMapper())
    rng = np.random.default_rng(3)
    for seed in range(50):
        inputs = rng.standard_normal((4, family.input_width)).astype(np.float32)
        (alone,) = answers.give(inputs[:1], decision, seed)
        first = answers.give(inputs, decision, seed)[0]
        assert alone.keys() == first.keys()
        for name, value in alone.items():
            expected = value if name == "meanings" else pytest.approx(value, rel=1e-9)
            assert first[name] == expected
        assert answers.give(inputs[:1], decision, seed) == [alone]


@families
def test_what_makes_no_distribution_is_told_alike(family: Family) -> None:
    answers = Answers(family, True, OutputMapper())
    bad = np.full((1, family.input_width), math.nan, np.float32)
    with pytest.raises(ObservationError) as alone:
        answers.give(bad, "draw")
    with pytest.raises(ObservationError) as together:
        answers.give(np.concatenate([np.zeros_like(bad), bad]), "draw")
    (one,), (other,) = alone.value.faults, together.value.faults
    assert (one.place, other.place) == ("", "/observations/1")
    assert one.detail == other.detail
