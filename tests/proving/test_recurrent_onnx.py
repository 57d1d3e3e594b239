"""Policies with memory as ONNX: served, they give step by step what the formulas give."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.memory import Memory
from policy_server.proving.describing import describe
from policy_server.version.parts import Part
from tests.proving.conftest import LIMITS, Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.input_networks import ready
from tests.support.recurrent import (
    ACTIONS,
    EPISODE,
    FEATURES,
    HIDDEN,
    OTHER,
    Gated,
    LongShort,
    gru_steps,
    lstm_steps,
    play,
    written,
)

Steps = Callable[[NDArray[Any]], NDArray[np.float64]]


def engine_of(candidate: Candidate) -> OnnxEngine:
    return OnnxEngine(candidate.folder / Part.MODEL / "network.onnx")


def serves(candidate: Candidate, steps: Steps) -> Memory:
    """The version gives what the formulas give, for two episodes side by side and for one."""
    memory = candidate.network.memory
    assert memory is not None
    assert candidate.network.feature_width == FEATURES
    engine = engine_of(candidate)
    found = play(engine, memory, EPISODE, OTHER)
    np.testing.assert_allclose(found, [steps(EPISODE), steps(OTHER)], atol=1e-5)
    np.testing.assert_allclose(play(engine, memory, OTHER)[0], steps(OTHER), atol=1e-5)
    return memory


@pytest.mark.parametrize(
    "network",
    [
        LongShort(),
        LongShort(names=("h0", "c0", "hn", "cn")),
        LongShort(names=("lstm.h_0", "lstm.c_0", "lstm.h_n", "lstm.c_n")),
        LongShort(names=("h", "c", "next_h", "next_c")),
        LongShort(batch=1),
        LongShort(observed=[1]),
        LongShort(observed=["steps"]),
        LongShort(batch=1, observed=["steps"]),
    ],
)
def test_an_lstm_whose_names_tell_is_served(candidate_of: CandidateOf, network: LongShort) -> None:
    candidate = candidate_of(contract_of(), model=network.content())
    report = ready(candidate)
    assert serves(candidate, lstm_steps) == Memory(2 * HIDDEN)
    assert "in 32 episodes of 16 steps" in detail(report, "proof")
    for name in network.names:
        assert f"`{name}`" in detail(report, "engine")


@pytest.mark.parametrize(
    "network",
    [
        Gated(),
        Gated(names=("recurrent_in", "recurrent_out")),
        Gated(axes=(("b", FEATURES), ("b", 1, HIDDEN))),
        Gated(axes=((1, FEATURES), (1, HIDDEN))),
        Gated(axes=((1, FEATURES), (1, 1, HIDDEN))),
        Gated(axes=((FEATURES,), (HIDDEN,))),
        Gated(axes=((1, FEATURES), (HIDDEN,))),
        Gated(axes=(("b", FEATURES), (1, HIDDEN))),
    ],
)
def test_a_gru_is_served_whatever_its_axes(candidate_of: CandidateOf, network: Gated) -> None:
    candidate = candidate_of(contract_of(), model=network.content())
    ready(candidate)
    assert serves(candidate, gru_steps) == Memory(HIDDEN)


def test_episodes_side_by_side_take_one_run_where_the_export_was_of_one(
    candidate_of: CandidateOf,
) -> None:
    candidate = candidate_of(contract_of(), model=LongShort(batch=1).content())
    ready(candidate)
    session = engine_of(candidate)._session
    assert session.get_inputs()[0].shape == ["batch", FEATURES + 2 * HIDDEN]
    assert session.get_outputs()[0].shape == ["batch", ACTIONS + 2 * HIDDEN]


UNTOLD = LongShort(names=("h", "c", "one", "other"))


def test_states_of_equal_shapes_are_asked_about_and_served_as_declared(
    candidate_of: CandidateOf,
) -> None:
    asked = candidate_of(contract_of(), model=UNTOLD.content()).assemble()
    assert not asked.ready
    assert asked.rejected is None
    right = "memory: [{input: h, output: one}, {input: c, output: other}]"
    wrong = "memory: [{input: h, output: other}, {input: c, output: one}]"
    question = detail(asked, "reading")
    assert f"`{right}` or `{wrong}`" in question
    candidate = candidate_of(contract_of(), model=UNTOLD.content(), description=right)
    ready(candidate)
    serves(candidate, lstm_steps)
    other = candidate_of(contract_of(), model=UNTOLD.content(), description=wrong)
    ready(other)
    with pytest.raises(AssertionError):
        serves(other, lstm_steps)


def test_only_golden_episodes_tell_an_exchanged_pair(candidate_of: CandidateOf) -> None:
    lines = [
        {
            "observation": {"x": row.tolist()},
            "episode": name,
            "distribution_inputs": logits.tolist(),
        }
        for name, steps in (("a", EPISODE), ("b", OTHER))
        for row, logits in zip(steps, lstm_steps(steps), strict=True)
    ]
    mixed = [lines[place] for pair in zip(range(12), range(12, 24), strict=True) for place in pair]
    golden = "\n".join(map(json.dumps, mixed))
    for outputs in (("one", "other"), ("other", "one")):
        line = f"memory: [{{input: h, output: {outputs[0]}}}, {{input: c, output: {outputs[1]}}}]"
        candidate = candidate_of(
            contract_of(), model=UNTOLD.content(), description=line, golden=golden
        )
        report = candidate.assemble()
        assert report.ready == (outputs == ("one", "other")), report
    assert "of 24 golden cases disagree" in (report.rejected or "")
    # The first steps agree, whatever is carried: the second of one of the episodes is shown.
    assert "The first step that differs is line " in (report.rejected or "")
    assert ", step 1)." in (report.rejected or "")


def test_an_episode_begins_with_what_is_declared(candidate_of: CandidateOf) -> None:
    line = (
        "memory: [{input: h_in, output: h_out, initial: 0.5}, "
        "{input: c_in, output: c_out, initial: [1, -1, 0, 2]}]"
    )
    candidate = candidate_of(contract_of(), model=LongShort().content(), description=line)
    ready(candidate)
    cell = [1, -1, 0, 2]
    memory = serves(candidate, lambda steps: lstm_steps(steps, [0.5] * HIDDEN, cell))
    assert memory == Memory(8, initial=(0.5, 0.5, 0.5, 0.5, 1.0, -1.0, 0.0, 2.0))


def test_a_state_that_decides_nothing_is_not_carried(candidate_of: CandidateOf) -> None:
    """As that of a critic beside the policy."""
    nodes = [
        helper.make_node("Add", ["obs", "a_in"], ["a_out"]),
        helper.make_node("Add", ["obs", "b_in"], ["b_out"]),
        helper.make_node("MatMul", ["a_out", "kernel"], ["logits"]),
    ]
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    axes: list[int | str] = ["b", FEATURES]
    model = written(
        nodes,
        {"obs": axes, "a_in": axes, "b_in": axes},
        {"logits": ["b", 2], "a_out": axes, "b_out": axes},
        {"kernel": kernel},
    )
    line = "memory: [{input: b_in, output: b_out}, {input: a_in, output: a_out}]"
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)
    memory = serves(candidate, lambda steps: np.cumsum(steps, axis=0) @ kernel)
    assert memory == Memory(FEATURES)


def test_states_of_whole_numbers_and_of_truth_values_are_exact(candidate_of: CandidateOf) -> None:
    """A counter of steps, and whether the first feature was ever above 1."""
    nodes = [
        helper.make_node("Add", ["count_in", "one"], ["count_out"]),
        helper.make_node("Slice", ["obs", "start", "end", "axis"], ["first"]),
        helper.make_node("Greater", ["first", "limit"], ["now"]),
        helper.make_node("Or", ["now", "seen_in"], ["seen_out"]),
        helper.make_node("Cast", ["count_out"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["seen_out"], ["seen"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["count", "seen"], ["logits"], axis=1),
    ]
    model = written(
        nodes,
        {"obs": ["b", FEATURES], "count_in": ["b", 1], "seen_in": ["b", 1]},
        {"logits": ["b", 2], "count_out": ["b", 1], "seen_out": ["b", 1]},
        {
            "one": np.array(1, np.int64),
            "start": np.array([0]),
            "end": np.array([1]),
            "axis": np.array([1]),
            "limit": np.array(1, np.float32),
        },
        {"count_in": TensorProto.INT64, "count_out": TensorProto.INT64}
        | {"seen_in": TensorProto.BOOL, "seen_out": TensorProto.BOOL},
    )
    line = (
        "memory: [{input: count_in, output: count_out, initial: 16000000}, "
        "{input: seen_in, output: seen_out}]"
    )
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)
    serves(
        candidate,
        lambda steps: np.stack(
            [
                16_000_000 + np.arange(1, len(steps) + 1),
                np.logical_or.accumulate(steps[:, 0] > 1),
            ],
            axis=1,
        ),
    )


@pytest.mark.parametrize(
    ("line", "faults"),
    [
        (
            "memory: [{input: hidden, output: h_out}, {input: c_in, output: last}]",
            [
                "the model has no input `hidden`: it has `obs`, `h_in`, `c_in`.",
                "the model has no output `last`: it has `logits`, `h_out`, `c_out`.",
            ],
        ),
        (
            "memory: [{input: h_in, output: logits}, {input: c_in, output: c_out}]",
            [
                "`logits` is what is served, and cannot be the next state as well.",
                "`h_in` has the shape [1, open, 4] and `logits` [open, 2]",
            ],
        ),
        ("memory: [{input: h_in, output: h_out}]", ["`c_in`", "leaves it out."]),
        ("memory: {frames: 2}", ["`h_in`, `c_in`", "leaves them out."]),
        (
            "memory: [{input: h_in, output: h_out, initial: [1, 2]}, {input: c_in, output: c_out}]",
            ["`h_in` is to begin with 2 numbers, and it has 4."],
        ),
        (
            "inputs: {obs: [0-2], h_in: [0]}\n"
            "memory: [{input: h_in, output: h_out}, {input: c_in, output: c_out}]",
            ["`inputs` gives features to `h_in`, which `memory` gives a state."],
        ),
    ],
)
def test_what_is_declared_and_is_not_so_is_refused(
    candidate_of: CandidateOf, line: str, faults: list[str]
) -> None:
    candidate = candidate_of(contract_of(), model=LongShort().content(), description=line)
    report = candidate.assemble()
    told = " ".join([report.rejected or "", *(fault.detail for fault in report.faults)])
    for fault in faults:
        assert fault in told


def small(state: str, nodes: list[Any], following: list[int | str], kind: int) -> bytes:
    axes: list[int | str] = ["b", FEATURES]
    return written(
        [*nodes, helper.make_node("MatMul", ["sum", "kernel"], ["logits"])],
        {"obs": axes, state: axes},
        {"logits": ["b", 2], "following": following},
        {"kernel": np.ones((3, 2), np.float32), "wide": np.array([0, 1, FEATURES])},
        {"following": kind},
    )


SUM = helper.make_node("Add", ["obs", "h_in"], ["sum"])


@pytest.mark.parametrize(
    ("node", "axes", "kind", "told"),
    [
        (
            helper.make_node("Cast", ["sum"], ["following"], to=TensorProto.INT64),
            ["b", FEATURES],
            TensorProto.INT64,
            "`h_in` and `following` have numbers of other types.",
        ),
        (
            helper.make_node("Reshape", ["sum", "wide"], ["following"]),
            ["b", 1, FEATURES],
            TensorProto.FLOAT,
            "`h_in` has the shape [open, 3] and `following` [open, 1, 3]",
        ),
        (
            helper.make_node("MatMul", ["sum", "kernel"], ["following"]),
            ["b", "w"],
            TensorProto.FLOAT,
            "The state `h_in` has the shape [1, 3] for 1 observation(s), and `following`, which is "
            "to give the next one, [1, 2]",
        ),
    ],
)
def test_an_output_that_is_no_next_state_is_refused(
    candidate_of: CandidateOf, node: Any, axes: list[int | str], kind: int, told: str
) -> None:
    line = "memory: [{input: h_in, output: following}]"
    model = small("h_in", [SUM, node], axes, kind)
    report = candidate_of(contract_of(), model=model, description=line).assemble()
    found = " ".join([report.rejected or "", *(fault.detail for fault in report.faults)])
    assert told in found


def test_names_alone_do_not_prove_a_state(candidate_of: CandidateOf) -> None:
    """The output depends on the input by the graph, and does not by its numbers."""
    axes: list[int | str] = ["b", FEATURES]
    nodes = [
        SUM,
        helper.make_node("MatMul", ["sum", "kernel"], ["logits"]),
        helper.make_node("Mul", ["h_in", "zero"], ["nothing"]),
        helper.make_node("Add", ["obs", "nothing"], ["h_out"]),
    ]
    kernel = np.ones((3, 2), np.float32)
    model = written(
        nodes,
        {"obs": axes, "h_in": axes},
        {"logits": ["b", 2], "h_out": axes},
        {"kernel": kernel, "zero": np.zeros(1, np.float32)},
    )
    line = "memory: [{input: h_in, output: h_out}]"
    asked = candidate_of(contract_of(), model=model).assemble()
    assert asked.rejected is None
    assert f"`{line}`" in detail(asked, "reading")
    candidate = candidate_of(contract_of(), model=model, description=line)
    ready(candidate)
    before = np.concatenate([np.zeros((1, FEATURES)), EPISODE[:-1]])
    found = play(engine_of(candidate), Memory(FEATURES), EPISODE)[0]
    np.testing.assert_allclose(found, (before + EPISODE) @ kernel, atol=1e-5)


MEAN, DEVIATION = np.array([1.0, 2.0, -1.0]), np.array([2.0, 0.5, 1.0])


def test_normalisation_goes_before_a_recurrent_network(candidate_of: CandidateOf) -> None:
    text = f"normalise: {{mean: {MEAN.tolist()}, std: {DEVIATION.tolist()}}}\n"
    candidate = candidate_of(contract_of(), model=LongShort().content(), description=text)
    ready(candidate)
    serves(candidate, lambda seen: lstm_steps((seen - MEAN) / DEVIATION))


def test_what_is_carried_is_told_before_there_is_a_schema(candidate_of: CandidateOf) -> None:
    folder = candidate_of(contract_of(), model=LongShort().content()).folder
    found = {each.name: each.detail for each in describe(folder, LIMITS, lambda *_: None).checks}
    assert found["memory"].startswith("8 numbers (32 bytes) are carried")
    assert "min_items: 3" in found["schema.yaml"]
    folder = candidate_of(contract_of(), model=UNTOLD.content()).folder
    (asked,) = [
        each.detail
        for each in describe(folder, LIMITS, lambda *_: None).checks
        if each.name == "reading"
    ]
    assert "memory: [{input: h, output: one}, {input: c, output: other}]" in asked


def test_without_observations_there_are_no_steps(candidate_of: CandidateOf) -> None:
    contract = Contract(read_schema("parameters: {discrete: true}"))
    report = candidate_of(contract, model=LongShort().content()).assemble()
    assert report.rejected is not None
    assert "POST /step, which takes observations" in report.rejected
