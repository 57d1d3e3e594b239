"""What a SavedModel carries from step to step, as its graph and as a converted network take it."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.carried import FIRST, Carried, StateTensor
from policy_server.policy.engines.engine import Floats
from policy_server.policy.memory import Memory
from policy_server.policy.saved_model import SavedModel, UnusableModel
from policy_server.proving.built_model import proof_features
from policy_server.proving.description import Description
from policy_server.proving.memory_description import Pair, Stack
from policy_server.proving.network_inputs import Layout, NetworkInput
from policy_server.proving.shares import Share, State


def carried_of(model: SavedModel, description: Description) -> Carried:
    """What the network carries, as tensors of its graph.

    Raises:
        UnusableModel: The shape of a state is open.
        UploadRejected: A stack does not go into the features.
    """
    if isinstance(description.memory, Stack):
        frames = description.memory.frames
        if model.feature_width % frames:
            raise UploadRejected(
                f"`memory` in model.yaml stacks {frames} frames, and the network takes "
                f"{model.feature_width} features, which are not so many times those of one "
                "observation."
            )
        return Carried(frames=frames)
    return Carried(tuple(_state(model, pair) for pair in description.memory or ()))


def following_of(description: Description) -> set[str]:
    """Names of the outputs that give the next states."""
    memory = description.memory
    return (
        set() if memory is None or isinstance(memory, Stack) else {each.output for each in memory}
    )


def memory_of(model: SavedModel, description: Description) -> Memory | None:
    """The memory of a network, by what it carries; None without any.

    Raises:
        UploadRejected: The numbers that a state is to begin with are not as many as it has.
    """
    declared, carried = description.memory, model.carried
    if isinstance(declared, Stack):
        return Memory(carried.width(model.feature_width), declared.frames, declared.padding)
    initial: list[float] = []
    for pair, state in zip(declared or (), carried.states, strict=True):
        begins = pair.initial if len(pair.initial) > 1 else (pair.initial or (0.0,)) * state.width
        if len(begins) != state.width:
            raise UploadRejected(
                f"The state `{pair.input}` is to begin with {len(begins)} numbers, and it has "
                f"{state.width}."
            )
        initial += begins
    return Memory(len(initial), initial=tuple(initial) if any(initial) else ()) if initial else None


def proof_rows(model: SavedModel) -> Floats:
    """Random rows, float32[B, F + S], with states of sensible size."""
    rows = proof_features(model.feature_width)
    rng = np.random.default_rng(0)
    for state in model.carried.states:
        kind = np.dtype(model.tensor(state.input).dtype.as_numpy_dtype).kind
        size = (len(rows), state.width)
        drawn = rng.standard_normal(size) if kind == "f" else rng.integers(0, 2, size)
        rows = np.concatenate([rows, drawn], axis=1, dtype=np.float32)
    return rows


def layout_of(model: SavedModel, description: Description) -> Layout:
    """How rows are laid out on the inputs of the converted network."""
    memory = description.memory
    stack = memory if isinstance(memory, Stack) else None
    observed = model.tensor(model.observation_tensor)
    kind = np.dtype(observed.dtype.as_numpy_dtype)
    taken = Share(
        observed.name,
        kind,
        np.arange(model.feature_width),
        tuple(observed.shape[1:].as_list()),
    )
    states, start = [], 0
    for each in model.carried.states:
        kind = np.dtype(model.tensor(each.input).dtype.as_numpy_dtype)
        numbers = np.arange(start, start + each.width)
        states.append(State(each.input, kind, numbers, each.shape, each.output, each.batch_axis))
        start += each.width
    return Layout(
        model.feature_width,
        (taken,),
        tuple(_filled(model)),
        normalise=description.normalise,
        states=tuple(states),
        stack=stack,
    )


def _filled(model: SavedModel) -> Iterator[NetworkInput]:
    """Inputs that say nothing of the observation, with what they are given."""
    fetches = [model.output_tensor, *(state.output for state in model.carried.states)]
    taken = {model.observation_tensor, *(state.input for state in model.carried.states)}
    for name, values in model.feeds(fetches, proof_rows(model)[:1]).items():
        if name not in taken:
            shape = model.tensor(name).shape
            axes = () if shape.rank is None else tuple(shape.as_list())
            yield NetworkInput(name, values.dtype, axes, int(values.max(initial=0)))


def check_reset(model: SavedModel, rows: Floats) -> None:
    """Raise UnusableModel if a policy of TF-Agents begins with anything but zeros.

    Args:
        model: With what it carries.
        rows: float32[B, F + S], some finite ones.
    """
    carried, width = model.carried, model.carried.feature_width(model.feature_width)
    beginning = rows.copy()
    beginning[:, width:] = 0
    expected = model.run(beginning)
    model.carried = replace(carried, step=FIRST)
    found = model.run(rows)
    model.carried = carried
    if not np.allclose(found, expected, atol=1e-5, equal_nan=True):
        raise UnusableModel(
            "its episodes begin with another state than zeros: say in model.yaml what with, as "
            "`initial` of each state in `memory`."
        )


def _state(model: SavedModel, pair: Pair) -> StateTensor:
    tensor = model.tensor(model.inputs[pair.input])
    sizes = [] if tensor.shape.rank is None else tensor.shape.as_list()
    if sizes.count(None) != 1:
        raise UnusableModel(
            f"the shape of its state `{pair.input}` is {tensor.shape}: export it with fixed sizes, "
            "all but that of the batch."
        )
    axis = sizes.index(None)
    shape = tuple(int(size) for size in sizes if size is not None)
    return StateTensor(tensor.name, model.outputs[pair.output], shape, axis)
