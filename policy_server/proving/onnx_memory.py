"""The memory of an ONNX file: declared and checked, or found where the file itself proves it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from policy_server.errors import Fault, UploadRejected
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.proving.description import FILE, Description
from policy_server.proving.memory_description import Pair, Stack, line_of_pairs
from policy_server.proving.memory_question import IDLE, SUMMARY, left_out, question
from policy_server.proving.ml_agents import is_ml_agents
from policy_server.proving.network_inputs import Layout
from policy_server.proving.onnx_graph import handed_through, needed
from policy_server.proving.onnx_inputs import axes_of, input_names
from policy_server.proving.onnx_types import INTEGER_TYPES, REAL_TYPES
from policy_server.proving.reading import Undeclared, listed
from policy_server.proving.state_names import is_state, paired


def with_memory(model: Any, description: Description, served: Sequence[str]) -> Description:
    """What is declared of an ONNX file, and the memory that its names prove.

    Args:
        model: ONNX's ModelProto.
        description: By model.yaml, and what is certain.
        served: Names of the outputs that are served; empty while they are not known.

    Raises:
        Undeclared: Decisions depend on a state, and several outputs may give the next one.
        UploadRejected: What is declared is not so, or no output gives the next state.
    """
    outputs = [str(value.name) for value in model.graph.output]
    pairs = () if isinstance(description.memory, Stack) else description.memory or ()
    _check_declared(model, pairs, description, served)
    given = {*(description.inputs or {}), *(pair.input for pair in pairs)}
    states = [name for name in _states(model, served or outputs) if name not in given]
    if not states:
        return description
    kind = "an ML-Agents file (Unity)" if is_ml_agents(outputs) else "a policy"
    if description.memory is not None:
        raise UploadRejected(left_out(states, kind))
    beside = [name for name in outputs if name not in served]
    names = paired(states, beside)
    found = tuple(Pair(name, names[name]) for name in states if name in names)
    if len(found) == len(states) and all(_may_be(model, each) for each in found):
        return replace(description, memory=found)
    raise Undeclared(question(states, beside, lambda pair: _may_be(model, pair), kind))


def carrying(graph: Any, output: str, pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The pairs whose states an output depends on, now or at a later step."""
    names: set[str] = {output}
    found: tuple[Pair, ...] = ()
    while True:
        reached = needed(graph, names)
        more = tuple(pair for pair in pairs if pair.input in reached)
        if len(more) == len(found):
            return found
        found = more
        names |= {pair.output for pair in found}


def check_found(layout: Layout, original: Engine | None, rows: Floats) -> None:
    """Look at states that names alone told: what gives the next one has to depend on it.

    Args:
        layout: Of the network.
        original: Runs it with its own inputs.
        rows: float32[B, F + S], to try it with.

    Raises:
        Undeclared: It does not; what is declared need not.
    """
    if original is None:
        return
    expected = original.run(rows)
    width = expected.shape[1] - layout.row_width + layout.feature_width
    idle = False
    for state in layout.states:
        moved = rows.copy()
        moved[:, layout.feature_width + state.numbers] -= 1
        moved[:, layout.feature_width + state.numbers] *= -1
        found, places = original.run(moved), width + state.numbers
        idle = idle or np.array_equal(found[:, places], expected[:, places], equal_nan=True)
    if idle:
        pairs = [Pair(state.name, state.output) for state in layout.states]
        raise Undeclared(f"{IDLE}: {line_of_pairs(pairs)}")


def _states(model: Any, outputs: Collection[str]) -> list[str]:
    """Inputs that are called as states are, and on which what the policy puts out depends."""
    graph = model.graph
    inputs = [str(value.name) for value in graph.input if value.name in input_names(graph)]
    if len(inputs) < 2:
        return []
    decides = needed(graph, {name for name in outputs if not is_state(name)})
    return [
        name
        for name in inputs
        if is_state(name) and name in decides and not handed_through(graph, name)
    ]


def _check_declared(
    model: Any, pairs: Sequence[Pair], description: Description, served: Sequence[str]
) -> None:
    """Raise UploadRejected with all that is wrong with declared pairs."""
    faults = [
        Fault(f"{FILE}: {pair.words}", fault)
        for pair in pairs
        for fault in _faults(model, pair, description.inputs or {}, served)
    ]
    if faults:
        raise UploadRejected(SUMMARY, faults)


def _faults(
    model: Any, pair: Pair, inputs: Collection[str], served: Collection[str]
) -> Iterator[str]:
    graph = model.graph
    taken = {v.name: v for v in graph.input if v.name in input_names(graph)}
    given = {value.name: value for value in graph.output}
    if pair.input not in taken:
        yield f"the model has no input `{pair.input}`: it has {listed([*taken])}."
    elif pair.input in inputs:
        yield f"`inputs` gives features to `{pair.input}`, which `memory` gives a state."
    if pair.output not in given:
        yield f"the model has no output `{pair.output}`: it has {listed([*given])}."
    elif pair.output in served:
        yield f"`{pair.output}` is what is served, and cannot be the next state as well."
    if pair.input not in taken or pair.output not in given:
        return
    one, other = taken[pair.input], given[pair.output]
    if not _same_kind(one, other):
        yield f"`{pair.input}` and `{pair.output}` have numbers of other types."
    if not _same_shape(one, other):
        yield (
            f"`{pair.input}` has the shape {_shown(one)} and `{pair.output}` {_shown(other)}: an "
            "input and an output of one state have the same."
        )


def _may_be(model: Any, pair: Pair) -> bool:
    """Whether an output may give the next state of an input, by type, shape and what it needs."""
    one = next(value for value in model.graph.input if value.name == pair.input)
    other = next(value for value in model.graph.output if value.name == pair.output)
    if not (_same_kind(one, other) and _same_shape(one, other)):
        return False
    return pair.input in needed(model.graph, {pair.output})


def _same_kind(one: Any, other: Any) -> bool:
    kinds = {value.type.tensor_type.elem_type for value in (one, other)}
    return len(kinds) == 1 or any(kinds <= {*types} for types in (REAL_TYPES, INTEGER_TYPES))


def _same_shape(one: Any, other: Any) -> bool:
    """Whether shapes may be the same: an open axis, or one of 1, may be that of the batch."""
    ours, theirs = axes_of(one), axes_of(other)
    if not ours or not theirs:
        return True
    if len(ours) != len(theirs):
        return False
    pairs = zip(ours, theirs, strict=True)
    return all(a == b or not {None, 1}.isdisjoint((a, b)) for a, b in pairs)


def _shown(value: Any) -> str:
    return str([size or "open" for size in axes_of(value) or ()]).replace("'", "")
