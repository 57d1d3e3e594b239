"""Lays what a policy carries from step to step out on the inputs of its network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.saved_model import UnusableModel
from policy_server.proving.input_description import Normalisation
from policy_server.proving.known_features import FieldFeatures
from policy_server.proving.memory_description import Pair
from policy_server.proving.network_inputs import Layout, NetworkInput
from policy_server.proving.shares import State

Axes = tuple[int | None, ...]
SEQUENCE_AXIS = 1
"""Where recurrent layers of PyTorch and ONNX have the batch in their states, behind the layers."""


def lay_out_states(
    inputs: Sequence[NetworkInput], pairs: Mapping[str, Pair], batch: int | None
) -> tuple[tuple[State, ...], int | None]:
    """The states that some inputs take, and how many rows the network takes at once.

    Args:
        inputs: Those that take a state.
        pairs: What is known of each, by its name.
        batch: Rows that the other inputs take at once: 0 for any number, None without such an axis.

    Raises:
        UnusableModel: The shape of one is open.
        UploadRejected: What is declared of one does not fit it.
    """
    if batch == 0 and not all(None in (each.axes or (None,)) for each in inputs):
        batch = 1  # states are made for one row
    found: list[State] = []
    start = 0
    for each in inputs:
        state = _state(each, pairs[each.name], batch, start)
        found.append(state)
        start += state.width
    return tuple(found), batch


def _state(each: NetworkInput, pair: Pair, batch: int | None, start: int) -> State:
    axes = each.axes or ()
    axis = None if batch is None else _batch_axis(axes, batch)
    if axis is None and batch not in (None, 1):
        raise UploadRejected(
            f"The network takes {batch} observations at once, and its state `{each.name}` "
            f"{list(axes)} is not one for each of them: export it with one observation."
        )
    sizes = [size for place, size in enumerate(axes) if place != axis]
    shape = tuple(size for size in sizes if size is not None)
    width = int(np.prod(shape, dtype=np.int64))
    if len(shape) < len(sizes) or each.axes is None or not width:
        raise UnusableModel(
            f"the shape of its state `{each.name}` is open: export it with fixed sizes, all but "
            "that of the batch."
        )
    initial = pair.initial * width if len(pair.initial) == 1 else pair.initial
    if initial and len(initial) != width:
        raise UploadRejected(
            f"The state `{each.name}` is to begin with {len(initial)} numbers, and it has {width}."
        )
    numbers = np.arange(start, start + width)
    return State(each.name, each.dtype, numbers, shape, pair.output, axis, initial)


def _batch_axis(axes: Axes, batch: int) -> int | None:
    """Which axis of a state is that of the batch; None where it has none, of a single row."""
    opened = [place for place, size in enumerate(axes) if size is None]
    if opened:
        return opened[0]
    fitting = [place for place, size in enumerate(axes) if size == (batch or 1)]
    usual = SEQUENCE_AXIS in fitting and len(axes) > SEQUENCE_AXIS + 1
    return SEQUENCE_AXIS if usual else next(iter(fitting), None)


def other_axes(layout: Layout) -> list[Layout]:
    """The layout for states of one row, with each axis in turn that may be that of the batch."""
    found: list[Layout] = []
    for axis in (SEQUENCE_AXIS, 0, 2):
        states = [_along(state, axis) for state in layout.states]
        moved = [state for state in states if state is not None]
        if len(moved) == len(states):
            found.append(replace(layout, states=tuple(moved)))
    return found if layout.states else [layout]


def _along(state: State, axis: int) -> State | None:
    """A state whose batch is another axis; None where that is not of size 1."""
    sizes = list(state.shape)
    if state.batch_axis is not None:
        sizes.insert(state.batch_axis, 1)
    if axis >= len(sizes) or sizes.pop(axis) != 1:
        return None
    return replace(state, shape=tuple(sizes), batch_axis=axis)


def stacked(layout: Layout, fields: Sequence[FieldFeatures]) -> Layout:
    """The layout of a network that takes a stack, on whichever axis its input has the frames.

    Args:
        layout: Of frames one after the other.
        fields: What makes one observation; of one field of several axes, such as [84, 84], the
            shape of the input tells the axis.

    Raises:
        UploadRejected: The network's features are not those of so many frames.
    """
    assert layout.stack is not None
    frames = layout.stack.frames
    if layout.width % frames:
        raise UploadRejected(
            f"`memory` in model.yaml stacks {frames} frames, and the network takes "
            f"{layout.width} features, which are not so many times those of one observation."
        )
    if len(layout.shares) > 1 or len(fields) != 1 or len(fields[0].shape) < 2:
        return layout
    (share,), frame = layout.shares, fields[0].shape
    channels = frame if len(share.shape) == len(frame) else (*frame, 1)
    if share.shape != (*channels[:-1], frames * channels[-1]):
        return layout
    numbers = np.moveaxis(share.numbers.reshape(frames, *channels), 0, -2).ravel()
    return replace(layout, shares=(replace(share, numbers=numbers),), takes_fields=True)


def normalised(layout: Layout, statistics: Normalisation | None) -> Normalisation | None:
    """Statistics of one frame for each of a stack; those of all frames as they are.

    Raises:
        UploadRejected: They are of another width.
    """
    if statistics is None:
        return None
    widths = {1, layout.width, layout.feature_width}
    if statistics.width not in widths:
        stacked = f", {layout.feature_width} in each frame" * (layout.stack is not None)
        raise UploadRejected(
            f"`normalise` in model.yaml speaks of {statistics.width} features, and the network "
            f"takes {layout.width}{stacked}."
        )
    once = statistics.width != layout.feature_width or layout.stack is None
    if once or layout.stack is None or layout.stack.padding == "zeros":
        return statistics
    frames = layout.stack.frames
    mean, scale = (
        np.tile(each, frames) if each.size > 1 else each
        for each in (statistics.mean, statistics.scale)
    )
    return Normalisation(mean, scale, statistics.clip)
