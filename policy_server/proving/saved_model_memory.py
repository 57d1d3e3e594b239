"""The memory of a SavedModel: declared and checked, or found where its signature proves it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import Fault, UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.saved_model import SavedModel
from policy_server.policy.saved_model_feeds import others
from policy_server.proving.description import FILE, Description
from policy_server.proving.memory_description import Pair, Stack, line_of_pairs
from policy_server.proving.memory_question import IDLE, SUMMARY, left_out, question, ways
from policy_server.proving.reading import Undeclared, named_output
from policy_server.proving.state_names import is_state, paired

TF_AGENTS = ("1", "state")
"""How PolicySaver calls a policy's state, and that after the step; `/` parts those of several."""
RAW = ":"
"""Part of the names of tensors, by which RLlib lists its states, and nothing else."""


def with_memory(model: SavedModel, description: Description, features: Floats) -> Description:
    """What is declared of a SavedModel, and the memory that its signature proves.

    Args:
        model: As it was read.
        description: By model.yaml, and what is certain.
        features: float32[B, F], to see what its decisions depend on.

    Raises:
        Undeclared: Decisions depend on a state, and several outputs may give the next one.
        UploadRejected: What is declared is not so, or no output gives the next state.
    """
    pairs = () if isinstance(description.memory, Stack) else description.memory or ()
    declared = description.output if isinstance(description.output, str) else None
    served = named_output(list(model.outputs), declared)
    _check_declared(model, pairs, served)
    given = {pair.input for pair in pairs}
    decisions = [served] if served else [name for name in model.outputs if not _is_next(name)]
    states = [
        name
        for name, tensor in sorted(model.inputs.items())
        if _is_state(name)
        and name not in given
        and _depends(model, tensor, [model.outputs[each] for each in decisions], features)
    ]
    if not states:
        return description
    if description.memory is not None:
        raise UploadRejected(left_out(states))
    beside = [name for name in sorted(model.outputs) if name != served]
    found = _found(model, states, beside)
    if found is None:
        raise Undeclared(question(states, beside, lambda pair: _may_be(model, pair)))
    idle = [
        pair
        for pair in found
        if not _depends(model, model.inputs[pair.input], [model.outputs[pair.output]], features)
    ]
    if idle:
        raise Undeclared(f"{IDLE}: {line_of_pairs(found)}")
    return replace(description, memory=tuple(found))


def _check_declared(model: SavedModel, pairs: Sequence[Pair], served: str | None) -> None:
    """Raise UploadRejected with all that is wrong with declared pairs."""
    faults = [
        Fault(f"{FILE}: {pair.words}", fault)
        for pair in pairs
        for fault in _faults(model, pair, served)
    ]
    if faults:
        raise UploadRejected(SUMMARY, faults)


def _found(model: SavedModel, states: Sequence[str], outputs: Sequence[str]) -> list[Pair] | None:
    """The pairs that names prove, or shapes where names say that all are states."""
    names = dict(paired(states, outputs)) | {
        name: _next_name(name) for name in states if _next_name(name) in outputs
    }
    found = [Pair(name, names[name]) for name in states if name in names]
    if len(found) == len(states) and all(_may_be(model, pair) for pair in found):
        return found
    raw = [name for name in outputs if RAW in name]
    if len(raw) == len(states) and all(RAW in name for name in states):
        possible = ways(states, raw, lambda pair: _may_be(model, pair))
        if len(possible) == 1:
            return possible[0]
    return None


def _is_state(name: str) -> bool:
    return RAW in name or is_state(name) or name.split("/")[0] == TF_AGENTS[0]


def _is_next(name: str) -> bool:
    return RAW in name or is_state(name) or name.split("/")[0] == TF_AGENTS[1]


def _next_name(name: str) -> str:
    """As TF-Agents calls the next state of an input."""
    return f"{TF_AGENTS[1]}{name.removeprefix(TF_AGENTS[0])}"


def _depends(model: SavedModel, tensor: str, outputs: Sequence[str], features: Floats) -> bool:
    """Whether tensors depend on an input, when they are run."""
    feeds = model.feeds(outputs, features)
    if tensor not in feeds:
        return False
    expected, again = (model.fetch(list(outputs), feeds) for _ in range(2))
    sure = [place for place, one in enumerate(expected) if _same(one, again[place])]  # not drawn
    for values in others(feeds[tensor]):
        found = model.fetch(list(outputs), {**feeds, tensor: values})
        if not all(_same(expected[place], found[place]) for place in sure):
            return True
    return False


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def _faults(model: SavedModel, pair: Pair, served: str | None) -> Iterator[str]:
    if pair.input not in model.inputs:
        yield f"the model has no input `{pair.input}`: it has {_listed(model.inputs)}."
    elif model.inputs[pair.input] == model.observation_tensor:
        yield f"`{pair.input}` takes the observations."
    if pair.output not in model.outputs:
        yield f"the model has no output `{pair.output}`: it has {_listed(model.outputs)}."
    elif pair.output == served:
        yield f"`{pair.output}` is what is served, and cannot be the next state as well."
    if pair.input not in model.inputs or pair.output not in model.outputs:
        return
    one, other = _tensors(model, pair)
    if not _same_kind(one, other):
        yield f"`{pair.input}` and `{pair.output}` have numbers of other types."
    if not one.shape.is_compatible_with(other.shape):
        yield (
            f"`{pair.input}` has the shape {one.shape} and `{pair.output}` {other.shape}: an input "
            "and an output of one state have the same."
        )


def _may_be(model: SavedModel, pair: Pair) -> bool:
    one, other = _tensors(model, pair)
    return _same_kind(one, other) and bool(one.shape.is_compatible_with(other.shape))


def _tensors(model: SavedModel, pair: Pair) -> tuple[Any, Any]:
    return model.tensor(model.inputs[pair.input]), model.tensor(model.outputs[pair.output])


def _same_kind(one: Any, other: Any) -> bool:
    kinds = {np.dtype(each.dtype.as_numpy_dtype).kind for each in (one, other)}
    return len(kinds) == 1 or kinds == {"i", "u"}


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
