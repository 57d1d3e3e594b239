"""Recurrent layers of PyTorch, written out gate by gate and step by step."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policy_server.proving.torch_programs.activations import relu
from policy_server.proving.torch_programs.arithmetic import add, mul, sigmoid, sub, tanh
from policy_server.proving.torch_programs.layers import linear
from policy_server.proving.torch_programs.shapes import chunk, select, stack, transpose
from policy_server.proving.torch_programs.traced import Mismatch, Traced, UnknownProgram

MOST_STEPS = 64
"""Of a sequence, which is written out step by step."""
States = list[Traced]
Cell = Callable[[Traced, States, Sequence[Traced | None]], States]
"""The next states [B, H], of what comes in [B, F], the states before, and weights and biases."""


def _long_short(x: Traced, states: States, weights: Sequence[Traced | None]) -> States:
    (_, cell), (first, second) = states, _products(x, states[0], weights)
    i, f, g, o = chunk(add(first, second), 4, 1)
    cell = add(mul(sigmoid(f), cell), mul(sigmoid(i), tanh(g)))
    return [mul(sigmoid(o), tanh(cell)), cell]


def _gated(x: Traced, states: States, weights: Sequence[Traced | None]) -> States:
    (hidden,), (first, second) = states, _products(x, states[0], weights)
    (r1, z1, n1), (r2, z2, n2) = (chunk(each, 3, 1) for each in (first, second))
    new = tanh(add(n1, mul(sigmoid(add(r1, r2)), n2)))
    return [add(new, mul(sigmoid(add(z1, z2)), sub(hidden, new)))]


def _plain(squash: Callable[[Any], Traced]) -> Cell:
    def cell(x: Traced, states: States, weights: Sequence[Traced | None]) -> States:
        return [squash(add(*_products(x, states[0], weights)))]

    return cell


def _products(x: Traced, hidden: Traced, weights: Sequence[Traced | None]) -> tuple[Traced, Traced]:
    """What weights and biases make of what comes in, and of the state."""
    for_input, for_hidden, *biases = weights
    one, other = biases or (None, None)
    assert for_input is not None
    assert for_hidden is not None
    return linear(x, for_input, one), linear(hidden, for_hidden, other)


def _layers(
    cell: Cell,
    x: Traced,
    states: States,
    params: Sequence[Traced],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> list[Traced]:
    """What layers make of sequences [T, B, F], and their states [layers, B, H] afterwards."""
    each = 4 if has_biases else 2
    if bidirectional:
        raise UnknownProgram("it goes through a sequence backwards, from steps that are to come")
    if train and dropout:
        raise UnknownProgram("it drops out numbers between layers: save it after `network.eval()`")
    if len(params) != each * num_layers:
        raise UnknownProgram("it has recurrent layers with projections, which are not read")
    x = transpose(x, 0, 1) if batch_first else x
    steps, rows = x.array.shape[:2]
    if steps > MOST_STEPS:
        raise UnknownProgram(f"it goes through {steps} steps at once: export it for one")
    if any(state.array.shape[:2] != (num_layers, rows) for state in states):
        raise Mismatch("its states have another number of layers or of rows than what comes in")
    sequence, ends = [select(x, 0, step) for step in range(steps)], []
    for layer in range(num_layers):
        weights = params[layer * each : (layer + 1) * each]
        now = [select(state, 0, layer) for state in states]
        for step, part in enumerate(sequence):
            now = cell(part, now, weights)
            sequence[step] = now[0]
        ends.append(now)
    output = stack(sequence, 0)
    output = transpose(output, 0, 1) if batch_first else output
    return [output, *(stack(list(each), 0) for each in zip(*ends, strict=True))]


def _lstm(input: Traced, hx: States, params: Sequence[Traced], *settings: Any) -> list[Traced]:
    return _layers(_long_short, input, hx, params, *settings)


def _of_one_state(cell: Cell) -> Callable[..., list[Traced]]:
    def run(input: Traced, hx: Traced, params: Sequence[Traced], *settings: Any) -> list[Traced]:
        return _layers(cell, input, [hx], params, *settings)

    return run


def _lstm_cell(input: Traced, hx: States, *weights: Traced | None) -> States:
    return _long_short(input, hx, weights)


def _cell_of_one_state(cell: Cell) -> Callable[..., Traced]:
    def run(input: Traced, hx: Traced, *weights: Traced | None) -> Traced:
        return cell(input, [hx], weights)[0]

    return run


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "gru": _of_one_state(_gated),
    "gru_cell": _cell_of_one_state(_gated),
    "lstm": _lstm,
    "lstm_cell": _lstm_cell,
    "rnn_relu": _of_one_state(_plain(relu)),
    "rnn_relu_cell": _cell_of_one_state(_plain(relu)),
    "rnn_tanh": _of_one_state(_plain(tanh)),
    "rnn_tanh_cell": _cell_of_one_state(_plain(tanh)),
}
"""By the names of PyTorch."""
