"""A forbidden action is never taken, whatever the network puts out."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from policy_server.errors import ObservationError
from policy_server.policy.answers import Answers
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.given import Given
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.numbered import NumberedFamily
from policy_server.policy.families.probabilities import Probabilities
from policy_server.policy.output_mapper import OutputMapper
from tests.support.contracts import actions_of

SIZES = (3, 1, 4)
FAMILIES = [
    (Categorical(SIZES), SIZES),
    (Categorical((5,)), (5,)),
    (Probabilities(SIZES), SIZES),
    (Greedy((5,)), (5,)),
    (Costs((5,)), (5,)),
]
families = pytest.mark.parametrize(
    ("family", "sizes"), FAMILIES, ids=[f"{each.name}-{len(sizes)}" for each, sizes in FAMILIES]
)
EXTREMES = np.array([0, -0.0, 1e-38, -1e-38, 88, -88, 3.4e38, -3.4e38, -1e38, 1e30], np.float32)
Rows = NDArray[np.float32]


def random_masks(rng: np.random.Generator, rows: int, sizes: tuple[int, ...]) -> NDArray[np.bool_]:
    """Masks that allow one action of each head at least."""
    heads = []
    for size in sizes:
        head = rng.random((rows, size)) < 0.4
        head[np.arange(rows), rng.integers(size, size=rows)] = True
        heads.append(head)
    return np.concatenate(heads, axis=1)


def random_inputs(rng: np.random.Generator, rows: int, family: NumberedFamily) -> Rows:
    width = family.input_width
    inputs = rng.normal(0, 3, (rows, width)).astype(np.float32)
    if isinstance(family, Probabilities):
        heads = [np.exp(each) for each in np.split(inputs, np.cumsum(family.sizes)[:-1], axis=1)]
        shares = [head / head.sum(axis=1, keepdims=True) for head in heads]
        return np.concatenate(shares, axis=1).astype(np.float32)
    extreme = rng.random((rows, width)) < 0.1
    return np.where(extreme, rng.choice(EXTREMES, (rows, width)), inputs)


def lawful(actions: NDArray[np.int64], allowed: NDArray[np.bool_], sizes: tuple[int, ...]) -> bool:
    starts = np.cumsum([0, *sizes])[:-1]
    return bool(np.take_along_axis(allowed, starts + actions, axis=1).all())


@families
def test_a_million_masked_decisions_take_no_forbidden_action(
    family: NumberedFamily, sizes: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(7)
    rows, decided = 20_000, 0
    while decided < 200_000:
        allowed = random_masks(rng, rows, sizes)
        inputs = family.forbid(random_inputs(rng, rows, family), allowed, sizes).astype(np.float64)
        sound = np.array([_is_sound(family, row[np.newaxis]) for row in inputs[:200]])
        inputs, allowed = _sound_rows(family, inputs, allowed)
        assert sound.mean() > 0.5
        assert lawful(family.sample(inputs, rng).astype(np.int64), allowed, sizes)
        assert lawful(family.mode(inputs).astype(np.int64), allowed, sizes)
        decided += len(inputs)
    for row, mask in zip(inputs[:2000], allowed[:2000], strict=True):
        for draw in (None, rng.random, lambda: 0.0, lambda: 1 - 2**-53):
            actions, probability = family.decide(row.tolist(), draw)
            assert lawful(np.array([actions]), mask[np.newaxis], sizes)
            assert probability
            assert 0 < probability <= 1


def _is_sound(family: NumberedFamily, inputs: NDArray[np.float64]) -> bool:
    try:
        family.check(inputs)
    except ValueError:
        return False
    return True


def _sound_rows(
    family: NumberedFamily, inputs: NDArray[np.float64], allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows whose allowed actions the network itself does not mask."""
    if isinstance(family, Probabilities):
        return inputs, allowed
    sign = -1 if isinstance(family, Costs) else 1
    splits = np.cumsum(family.sizes)[:-1]
    best = [head.max(axis=1) for head in np.split(sign * inputs, splits, axis=1)]
    keep = (np.array(best) > -1e38).all(axis=0)
    return inputs[keep], allowed[keep]


@families
def test_what_is_allowed_is_drawn_as_before(family: NumberedFamily, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    inputs = random_inputs(rng, 1, family)
    inputs = np.where(np.abs(inputs) > 20, np.float32(1), inputs)
    allowed = random_masks(rng, 1, sizes)
    masked = family.forbid(inputs, allowed, sizes).astype(np.float64)
    before, after = family.weighed(inputs.astype(np.float64)), family.weighed(masked)
    start = 0
    for size, (_, free), (_, bound) in zip(sizes, before, after, strict=True):
        mask = allowed[:, start : start + size]
        assert (bound[~mask] == 0).all()
        if not isinstance(family, Greedy):
            expected = np.where(mask, free, 0)
            assert np.allclose(bound, expected / expected.sum(), rtol=1e-5)
        start += size


def test_draws_follow_the_masked_distribution() -> None:
    family = Categorical((4,))
    inputs = np.tile(np.array([[0.3, 1.2, -0.4, 0.9]], np.float32), (20_000, 1))
    allowed = np.tile(np.array([[True, False, True, True]]), (20_000, 1))
    masked = family.forbid(inputs, allowed, (4,))
    answers = Answers(family, actions_of(), OutputMapper()).give(masked, "draw", 5)
    counts = np.bincount([answer["action"] for answer in answers], minlength=4)
    shares = np.exp([0.3, -0.4, 0.9])
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], shares / shares.sum() * 20_000).pvalue > 1e-4


def test_an_action_that_the_network_chose_must_be_allowed() -> None:
    family = Given((1, 1))
    inputs = np.array([[0, 2], [1, 1], [0, 7], [np.nan, 0]], np.float32)
    allowed = np.array([[True, False, False, False, True]] * 4)
    found = family.forbid(inputs, allowed, (2, 3))
    assert np.array_equal(
        np.isnan(found), [[False, False], [True, True], [False, False], [True, True]]
    )
    with pytest.raises(ObservationError, match="a mask forbids"):
        Answers(family, actions_of(tuple_=True), OutputMapper()).give(found[1:2], "draw")
