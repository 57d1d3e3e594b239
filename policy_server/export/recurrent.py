"""Recurrent layers of PyTorch, one step at a time: LSTM and GRU."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from policy_server.export.spaces import ExportRefused
from policy_server.export.torch_network import lstm_step


def state_names(layer: Any) -> tuple[str, ...]:
    """What the states of a recurrent layer are called; none where there is no layer."""
    if layer is None:
        return ()
    known = {"LSTM": ("h", "c"), "GRU": ("h",)}
    if type(layer).__name__ not in known:
        raise ExportRefused(f"A recurrent layer {layer} is not exported; LSTM and GRU are.")
    return known[type(layer).__name__]


def state_inputs(layer: Any) -> dict[str, int]:
    """Inputs of states with their widths: all layers of a stack, one after the other."""
    return {f"{name}_in": layer.num_layers * layer.hidden_size for name in state_names(layer)}


def memory_of(layer: Any) -> Sequence[Mapping[str, str]] | None:
    """What model.yaml says of the states; None where there is no layer."""
    pairs = [{"input": f"{name}_in", "output": f"{name}_out"} for name in state_names(layer)]
    return pairs or None


def recurrent_step(layer: Any, features: Any, states: Sequence[Any]) -> tuple[Any, dict[str, Any]]:
    """One step of a recurrent layer.

    Args:
        layer: An `nn.LSTM` or `nn.GRU`.
        features: float32[B, F].
        states: float32[B, L * H] of each name, one layer after the other.

    Returns:
        What the last layer gives, float32[B, H], and the next states by the names of outputs.
    """
    names = state_names(layer)
    if len(names) == 2:
        found, *after = lstm_step(layer, features, *states)
    else:
        found, *after = gru_step(layer, features, *states)
    return found, {f"{name}_out": state for name, state in zip(names, after, strict=True)}


def gru_step(gru: Any, features: Any, hidden: Any) -> tuple[Any, Any]:
    """One step of an `nn.GRU`, of operations that every file can hold.

    Args:
        gru: Of one direction.
        features: float32[B, F].
        hidden: float32[B, L * H], of one layer after the other.

    Returns:
        What the last layer gives, float32[B, H], and the next hidden state.
    """
    if gru.bidirectional:
        raise ExportRefused("A GRU of two directions is not exported.")
    size, after = gru.hidden_size, []
    for layer in range(gru.num_layers):
        before = hidden[:, layer * size : (layer + 1) * size]
        seen = _linear(gru, "ih", layer, features)
        kept = _linear(gru, "hh", layer, before)
        reset = torch.sigmoid(seen[:, :size] + kept[:, :size])
        update = torch.sigmoid(seen[:, size : 2 * size] + kept[:, size : 2 * size])
        candidate = torch.tanh(seen[:, 2 * size :] + reset * kept[:, 2 * size :])
        features = (1 - update) * candidate + update * before
        after.append(features)
    return features, torch.cat(after, dim=1)


def _linear(gru: Any, kind: str, layer: int, numbers: Any) -> Any:
    bias = getattr(gru, f"bias_{kind}_l{layer}") if gru.bias else None
    return torch.nn.functional.linear(numbers, getattr(gru, f"weight_{kind}_l{layer}"), bias)
