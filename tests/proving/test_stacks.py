"""Stacks of the last observations: kept by the server, as the environment in training kept them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.memory import Memory
from tests.proving.conftest import CandidateOf
from tests.proving.test_recurrent_onnx import DEVIATION, MEAN, engine_of, serves
from tests.support.contracts import contract_of
from tests.support.input_networks import ready
from tests.support.recurrent import FEATURES, play, written


def linear_stack(frames: int, axes: list[int | str] | None = None) -> tuple[bytes, Any]:
    kernel = np.random.default_rng(8).standard_normal((frames * FEATURES, 2)).astype(np.float32)
    shape = axes or ["b", frames * FEATURES]
    nodes = [
        helper.make_node("Reshape", ["obs", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "kernel"], ["logits"]),
    ]
    flat = np.array([-1, frames * FEATURES])
    outputs: Mapping[str, list[int | str]] = {"logits": [shape[0], 2]}
    return written(nodes, {"obs": shape}, outputs, {"kernel": kernel, "flat": flat}), kernel


def stacked(steps: NDArray[Any], frames: int, padding: str) -> NDArray[Any]:
    """The last frames of each step, oldest first, float64[T, k * F]."""
    first = steps[:1] if padding == "first" else np.zeros_like(steps[:1])
    padded = np.concatenate([np.repeat(first, frames - 1, axis=0), steps])
    return np.stack([padded[at : at + frames].ravel() for at in range(len(steps))])


@pytest.mark.parametrize("padding", ["zeros", "first"])
@pytest.mark.parametrize("axes", [None, ["b", 4, FEATURES], [1, 4 * FEATURES], [4, FEATURES]])
def test_a_stack_of_observations_is_kept(
    candidate_of: CandidateOf, padding: Any, axes: list[int | str] | None
) -> None:
    model, kernel = linear_stack(4, axes)
    line = f"memory: {{frames: 4, padding: {padding}}}"
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)
    memory = serves(candidate, lambda steps: stacked(steps, 4, padding) @ kernel)
    assert memory == Memory(3 * FEATURES, 4, padding)


@pytest.mark.parametrize("padding", ["zeros", "first"])
def test_frames_are_normalised_as_they_come_or_as_a_stack(
    candidate_of: CandidateOf, padding: str
) -> None:
    """Statistics of one observation are those of each; of a whole stack, those of the stack."""
    model, kernel = linear_stack(2)
    of_one = f"normalise: {{mean: {MEAN.tolist()}, std: {DEVIATION.tolist()}}}\n"
    two = np.tile(MEAN, 2), np.tile(DEVIATION, 2)
    of_two = f"normalise: {{mean: {two[0].tolist()}, std: {two[1].tolist()}}}\n"
    line = f"memory: {{frames: 2, padding: {padding}}}"
    for text, steps in (
        (of_one, lambda seen: stacked((seen - MEAN) / DEVIATION, 2, padding) @ kernel),
        (of_two, lambda seen: (stacked(seen, 2, padding) - two[0]) / two[1] @ kernel),
    ):
        candidate = candidate_of(contract_of(), model=model, description=text + line)
        ready(candidate)
        serves(candidate, steps)


PICTURES = """
observations:
  x: {type: "List[float]", shape: [3, 2], minimum: 0, maximum: 1}
"""


@pytest.mark.parametrize(("axes", "axis"), [(("b", 2, 3, 2), 1), (("b", 3, 2, 2), 3)])
def test_images_are_stacked_on_the_axis_that_the_network_has_for_frames(
    candidate_of: CandidateOf, axes: tuple[int | str, ...], axis: int
) -> None:
    """Frames of 3 x 2, in front or on the last axis: the network's shape tells."""
    kernel = np.random.default_rng(9).standard_normal((12, 2)).astype(np.float32)
    nodes = [
        helper.make_node("Reshape", ["obs", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "kernel"], ["logits"]),
    ]
    model = written(
        nodes,
        {"obs": axes},
        {"logits": ["b", 2]},
        {"kernel": kernel, "flat": np.array([-1, 12])},
    )
    contract = Contract(read_schema(PICTURES))
    candidate = candidate_of(contract, model=model, description="memory: {frames: 2}")
    ready(candidate)
    memory = candidate.network.memory
    assert memory == Memory(6, 2)
    seen = np.random.default_rng(10).uniform(0, 1, (5, 3, 2)).astype(np.float32)
    before = np.concatenate([np.zeros((1, 3, 2)), seen[:-1]])
    stacks = np.stack([before, seen], axis=axis)
    found = play(engine_of(candidate), memory, seen.reshape(5, 6))[0]
    np.testing.assert_allclose(found, stacks.reshape(5, 12) @ kernel, atol=1e-5)


def test_features_that_are_no_whole_stack_are_refused(candidate_of: CandidateOf) -> None:
    model, _ = linear_stack(3)
    line = "memory: {frames: 2}"
    report = candidate_of(contract_of(), model=model, description=line).assemble()
    assert "stacks 2 frames, and the network takes 9 features" in (report.rejected or "")
