"""What an ONNX file is, where its inputs and outputs give it away, and why it is not served."""

import re
from collections.abc import Iterable
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.onnx_graph import handed_through, needed

MEMORY_WORDS = {"recurrent", "rnn", "lstm", "gru", "hidden", "memory", "carry"}
MEMORY_NAMES = re.compile(
    r"(state_(ins?|outs?)|[hc](_?in|_?out|_?0|x)?|initial_[hc])([_.]?[0-9]+)*"
)
"""Names that frameworks give to the state of a recurrent network."""
ML_AGENTS = {"version_number", "memory_size"}
MASK = "action_masks"


def refuse_unservable(model: Any, output: str | None) -> None:
    """Raise UploadRejected if an ONNX file needs what is not served, before its outputs are read.

    Args:
        model: ONNX's ModelProto.
        output: Name of the output that is served; None while that is not known.
    """
    inputs, outputs = _names(model)
    memory = _memory(model, inputs, outputs if output is None else [output])
    what = "an ML-Agents file (Unity)" if set(outputs) >= ML_AGENTS else ""
    if memory:
        named = ", ".join(f"`{name}`" for name in memory)
        raise UploadRejected(
            f"The model is {what or 'a policy'} with memory: its decisions depend on {named}, the "
            "state of a recurrent network, which one observation does not tell. Policies with "
            "memory are not served. Train without it (ML-Agents: remove `memory` from the "
            "trainer's network settings; Stable-Baselines3: PPO instead of RecurrentPPO; RLlib: "
            "`use_lstm: False`), or stack the last observations."
        )
    if not what:
        return
    if {"continuous_actions", "discrete_actions"} <= set(outputs):
        raise UploadRejected(
            f"The model is {what} of mixed (hybrid) actions, numbered and continuous together, "
            "which are not served. Train the two as policies of their own."
        )
    if MASK in inputs:
        raise UploadRejected(
            f"The model is {what} of numbered actions, which takes `{MASK}` beside the "
            "observations; masks are not served yet. Export the network from the training "
            "checkpoint with `torch.onnx.export(..., output_names=['logits'], "
            "external_data=False)`, the logits of each branch side by side, without the mask."
        )


def ml_agents_output(names: Iterable[str]) -> str | None:
    """The output of an ML-Agents file that is its deterministic action; None for other files."""
    outputs = set(names)
    if not outputs >= ML_AGENTS:
        return None
    for name in ("deterministic_continuous_actions", "deterministic_discrete_actions"):
        if name in outputs:
            return name
    raise UploadRejected(
        "The model is an ML-Agents file (Unity) that puts out only actions that it draws itself. "
        "Export it again with a newer ML-Agents, which adds the output "
        "`deterministic_continuous_actions`."
    )


def _names(model: Any) -> tuple[list[str], list[str]]:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [str(value.name) for value in model.graph.input if value.name not in weights]
    return inputs, [str(value.name) for value in model.graph.output]


def _memory(model: Any, inputs: list[str], outputs: list[str]) -> list[str]:
    """Inputs that hold a state on which what the policy puts out depends."""
    if len(inputs) < 2:
        return []
    decides = needed(model.graph, {name for name in outputs if not _is_memory(name.lower())})
    return [
        name
        for name in inputs
        if _is_memory(name.lower()) and name in decides and not handed_through(model.graph, name)
    ]


def _is_memory(name: str) -> bool:
    words = set(re.split(r"[^a-z]+", name))
    return bool(words & MEMORY_WORDS) or MEMORY_NAMES.fullmatch(name) is not None
