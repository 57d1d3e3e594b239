"""Families and sizes are proven by draws and their probabilities, or they are not claimed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats

from policy_server.contract.actions import Kind
from policy_server.errors import UploadRejected
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.recognition import Output
from policy_server.policy.families.registry import declared_reading
from policy_server.policy.saved_model_feeds import Draws
from policy_server.proving.heads import (
    Actions,
    Evidence,
    declared_sizes_fault,
    derive_actions,
    stated_actions,
)

Array = NDArray[np.float64]
ROWS = 200


def drawn(
    sizes: tuple[int, ...], seed: int = 0, scale: float = 1.5, *, stated: bool = True
) -> Evidence:
    """Draws from independent softmaxes with SciPy's probabilities, one output a head."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((ROWS, sum(sizes)))
    actions, logs = [], np.zeros(ROWS)
    for head in np.split(logits, np.cumsum(sizes)[:-1], axis=1):
        table = special.log_softmax(head, axis=1)
        action = np.argmax(table + rng.gumbel(size=table.shape), axis=1)
        logs += table[np.arange(ROWS), action]
        actions.append(action)
    return Evidence.of(Draws(actions, logs.astype(np.float32) if stated else None), logits)


def normal(components: tuple[int, ...], shift: float = 0.0) -> Evidence:
    rng = np.random.default_rng(1)
    inputs, actions, logs = [], [], np.full(ROWS, shift)
    for size in components:
        mean, log_std = rng.standard_normal((2, ROWS, size))
        action = rng.normal(mean, np.exp(log_std))
        logs += stats.norm.logpdf(action, mean, np.exp(log_std)).sum(axis=1)
        inputs += [mean, log_std]
        actions.append(action)
    return Evidence.of(Draws(actions, logs.astype(np.float32)), np.concatenate(inputs, axis=1))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(2, 6), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_sizes_are_found_whatever_they_are(sizes: list[int], seed: int) -> None:
    actions = derive_actions(drawn(tuple(sizes), seed), integer=True)
    assert (actions.family, actions.sizes) == ("categorical", tuple(sizes))


def test_fifteen_heads_are_found() -> None:
    sizes = (3, 2) * 7 + (4,)
    assert derive_actions(drawn(sizes), integer=True).sizes == sizes


@pytest.mark.parametrize("components", [(1,), (3,), (1, 2), (2, 1, 2)])
def test_components_of_gaussians_are_found(components: tuple[int, ...]) -> None:
    actions = derive_actions(normal(components), integer=False)
    assert (actions.family, actions.sizes) == ("gaussian", components)


def test_one_output_may_hold_several_dimensions() -> None:
    evidence = normal((3,))
    assert evidence.components == (3,)
    assert derive_actions(evidence, integer=False).sizes == (3,)


def test_the_highest_value_is_known_by_its_draws() -> None:
    values = np.random.default_rng(0).standard_normal((ROWS, 4))
    best = values.argmax(axis=1)
    sure = Evidence.of(Draws([best], np.zeros(ROWS, np.float32)), values)
    assert derive_actions(sure, integer=True).family == "greedy"
    other = Evidence.of(Draws([(best + 1) % 4], np.zeros(ROWS, np.float32)), values)
    with pytest.raises(UploadRejected, match="softmax"):
        derive_actions(other, integer=True)


@pytest.mark.parametrize("shift", [2e-4, -0.1, 3.0])
def test_probabilities_that_are_off_are_no_proof(shift: float) -> None:
    for sizes in ((4,), (2, 3)):
        evidence = drawn(sizes)
        assert evidence.logs is not None
        off = Evidence(
            evidence.inputs, evidence.actions, evidence.components, evidence.logs * (1 + shift)
        )
        with pytest.raises(UploadRejected, match="1e-04 is allowed"):
            derive_actions(off, integer=True)
    with pytest.raises(UploadRejected, match="diagonal Gaussian"):
        derive_actions(normal((2,), shift=10 * shift), integer=False)


def test_one_wrong_row_is_no_proof() -> None:
    evidence = drawn((4,))
    assert evidence.logs is not None
    evidence.logs[17] -= 0.5
    with pytest.raises(UploadRejected):
        derive_actions(evidence, integer=True)


def test_rows_without_a_probability_say_nothing_if_enough_others_do() -> None:
    evidence = drawn((3,))
    assert evidence.logs is not None
    evidence.logs[:100] = np.nan
    assert derive_actions(evidence, integer=True).sizes == (3,)
    for unknown in (180, ROWS):
        evidence.logs[:unknown] = np.nan
        with pytest.raises(UploadRejected):
            derive_actions(evidence, integer=True)


def test_actions_below_zero_or_beyond_the_logits_are_no_numbers_of_actions() -> None:
    for change in (-1, 5):
        evidence = drawn((3,))
        evidence.actions[0] = change
        with pytest.raises(UploadRejected):
            derive_actions(evidence, integer=True)


def output_of(width: int) -> Output:
    return Output("logits", False, np.zeros((ROWS, width), np.float32))


def stated(width: int, word: str, heads: int) -> Actions:
    output = output_of(width)
    return stated_actions(output, declared_reading(word, output, Kind.NUMBERED), heads)


def test_without_probabilities_only_what_must_be_is_claimed() -> None:
    alone = stated(4, "logits", 1)
    assert (alone.family, alone.sizes) == ("categorical", (4,))
    several = stated(5, "logits", 2)
    assert (several.sizes, several.heads) == (None, 2)
    drawn_in_three = "`logits` has 4 numbers, .* the model's actions have 3 dimensions"
    with pytest.raises(UploadRejected, match=drawn_in_three):
        stated(4, "mean_log_std", 3)


def test_widths_that_are_no_mean_and_deviation_are_rejected_with_both_numbers() -> None:
    evidence = Evidence.of(
        Draws([np.zeros((ROWS, 2))], np.zeros(ROWS, np.float32)), np.zeros((ROWS, 3))
    )
    with pytest.raises(UploadRejected, match=r"2 dimensions, which take 4 .* it has 3"):
        derive_actions(evidence, integer=False)


def rarely_drawn() -> tuple[tuple[int, ...], Evidence]:
    """Heads so sure of their first actions that sizes are beyond trying."""
    sizes = (12, 8, 10, 11, 9, 10)
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((ROWS, sum(sizes)))
    starts = np.cumsum([0, *sizes])[:-1]
    logits[:, starts] += 12.0
    heads = np.split(logits, starts[1:], axis=1)
    logs = np.sum([special.log_softmax(head, axis=1)[:, 0] for head in heads], axis=0)
    actions = [np.zeros(ROWS, np.int64)] * len(sizes)
    return sizes, Evidence.of(Draws(actions, logs.astype(np.float32)), logits)


def test_sizes_beyond_trying_are_declared_and_then_proven(tmp_path: Path) -> None:
    sizes, evidence = rarely_drawn()
    actions = derive_actions(evidence, integer=True)
    assert (actions.family, actions.sizes, actions.heads) == ("categorical", None, 6)
    evidence.write(tmp_path)
    assert declared_sizes_fault(tmp_path, Categorical(sizes)) is None
    swapped = (8, 12, *sizes[2:])
    fault = declared_sizes_fault(tmp_path, Categorical(swapped))
    assert fault is not None
    assert "differ by" in fault


def test_declared_sizes_cannot_be_smaller_than_what_is_drawn(tmp_path: Path) -> None:
    evidence = drawn((4, 2), stated=False)
    evidence.write(tmp_path)
    assert declared_sizes_fault(tmp_path, Categorical((4, 2))) is None
    fault = declared_sizes_fault(tmp_path, Categorical((3, 3)))
    assert fault is not None
    assert "beyond" in fault
