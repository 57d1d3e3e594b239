"""Networks of PyTorch: from features to outputs, written as ONNX or as torch.export's own file."""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from policy_server.export.spaces import ExportRefused, Leaf

PORTABLE = ("onnx", "onnxscript")
"""What PyTorch needs to write ONNX. Without these, its own file is written: both are read."""


def observed(features: Any, leaves: Sequence[Leaf]) -> Any:
    """What a framework's code takes as an observation, made of features.

    Args:
        features: float32[B, F].
        leaves: Of the observation space.

    Returns:
        A tensor [B, ...], or a dictionary of such where the space is a Dict. Whole numbers are
        still float32.
    """
    parts = {
        leaf.path: features[:, leaf.start : leaf.start + leaf.size].reshape(-1, *leaf.space.shape)
        for leaf in leaves
    }
    if () in parts:
        return parts[()]
    return {path[0]: part for path, part in parts.items()}


def one_hot(number: Any, count: int) -> Any:
    """Whole numbers, float32[B], as float32[B, count]."""
    return (number.reshape(-1, 1) == torch.arange(count, device=number.device)).to(torch.float32)


def write_network(network: Any, inputs: Mapping[str, int], folder: Path) -> None:
    """Write a network as `policy.onnx`, or as `policy.pt2` where PyTorch cannot write ONNX here.

    Args:
        network: A module on the CPU: takes float32[B, n] of each input, returns a dictionary of
            outputs, whose keys become their names.
        inputs: Name and width of each input, in the order of the module's parameters.
        folder: Where to.
    """
    network = network.eval()
    examples = tuple(torch.rand(2, width) for width in inputs.values())
    rows = {0: torch.export.Dim("rows")}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs = list(network(*examples))
        try:
            program = torch.export.export(
                network, examples, dynamic_shapes=dict.fromkeys(inputs, rows)
            )
        except Exception as error:
            raise ExportRefused(
                "PyTorch cannot export this network. What it computes may depend on numbers of an "
                f"observation in ways that no file holds (`if`, `.item()`): {error}"
            ) from error
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it says where this file lies
        if all(importlib.util.find_spec(name) for name in PORTABLE):
            _write_onnx(program, list(inputs), outputs, folder / "policy.onnx")
        else:
            torch.export.save(program, folder / "policy.pt2")


def _write_onnx(program: Any, inputs: list[str], outputs: list[str], path: Path) -> None:
    written = torch.onnx.export(
        program, input_names=inputs, output_names=outputs, dynamo=True, verbose=False
    )
    written.save(path, external_data=False)


def lstm_step(lstm: Any, features: Any, hidden: Any, cell: Any) -> tuple[Any, Any, Any]:
    """One step of an `nn.LSTM`, of operations that every file can hold.

    Args:
        lstm: Of one direction.
        features: float32[B, F].
        hidden: float32[B, L * H], of one layer after the other.
        cell: Likewise.

    Returns:
        What the last layer gives, float32[B, H], and the next hidden and cell states.
    """
    if lstm.bidirectional or lstm.proj_size:
        raise ExportRefused("An LSTM of two directions or with projections is not exported.")
    size, next_hidden, next_cell = lstm.hidden_size, [], []
    for layer in range(lstm.num_layers):
        span = slice(layer * size, (layer + 1) * size)
        gates = _gates(lstm, "ih", layer, features) + _gates(lstm, "hh", layer, hidden[:, span])
        let_in, forget, candidate, let_out = (
            gates[:, at * size : (at + 1) * size] for at in range(4)
        )
        kept = torch.sigmoid(forget) * cell[:, span]
        next_cell.append(kept + torch.sigmoid(let_in) * torch.tanh(candidate))
        features = torch.sigmoid(let_out) * torch.tanh(next_cell[-1])
        next_hidden.append(features)
    return features, torch.cat(next_hidden, dim=1), torch.cat(next_cell, dim=1)


def _gates(lstm: Any, kind: str, layer: int, numbers: Any) -> Any:
    bias = getattr(lstm, f"bias_{kind}_l{layer}") if lstm.bias else None
    return torch.nn.functional.linear(numbers, getattr(lstm, f"weight_{kind}_l{layer}"), bias)
