"""What an ONNX file is, where its inputs and outputs give it away, and why it is not served."""

import re
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.ml_agents import is_ml_agents
from policy_server.proving.onnx_graph import handed_through, needed

MEMORY_WORDS = {"recurrent", "rnn", "lstm", "gru", "hidden", "memory", "carry"}
MEMORY_NAMES = re.compile(
    r"(state_(ins?|outs?)|[hc](_?in|_?out|_?0|x)?|initial_[hc])([_.]?[0-9]+)*"
)
"""Names that frameworks give to the state of a recurrent network."""


def refuse_memory(model: Any, served: list[str]) -> None:
    """Raise UploadRejected if what an ONNX file puts out depends on a state.

    Args:
        model: ONNX's ModelProto.
        served: Names of the outputs that are served; empty while they are not known.
    """
    inputs, outputs = _names(model)
    memory = _memory(model, inputs, served or outputs)
    what = "an ML-Agents file (Unity)" if is_ml_agents(outputs) else ""
    if memory:
        named = ", ".join(f"`{name}`" for name in memory)
        raise UploadRejected(
            f"The model is {what or 'a policy'} with memory: its decisions depend on {named}, the "
            "state of a recurrent network, which one observation does not tell. Policies with "
            "memory are not served. Train without it (ML-Agents: remove `memory` from the "
            "trainer's network settings; Stable-Baselines3: PPO instead of RecurrentPPO; RLlib: "
            "`use_lstm: False`), or stack the last observations."
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
