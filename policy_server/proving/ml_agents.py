"""ML-Agents files (Unity): what their actions are taken from."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from policy_server.contract.actions import ActionSpace
from policy_server.errors import UploadRejected
from policy_server.proving.description import Description
from policy_server.proving.joined import Joined, Piece
from policy_server.proving.onnx_types import FLOAT

CONSTANTS = {"version_number", "memory_size"}
"""Outputs of every such file, and of no other."""
CONTINUOUS = "deterministic_continuous_actions"
NUMBERED = "deterministic_discrete_actions"
DRAWN = "discrete_actions"
HANDING = {"Concat", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze"}


def is_ml_agents(outputs: Collection[str]) -> bool:
    """A model with these outputs was written by ML-Agents."""
    return {*outputs} >= CONSTANTS


def expose_logits(graph: Any) -> list[str]:
    """Make outputs of the log-probabilities by which numbered actions are drawn, one a branch.

    Args:
        graph: Of an ML-Agents file; changed.

    Returns:
        Their names, in the order of the branches; none where they cannot be found.
    """
    producers = {name: node for node in graph.node for name in node.output}
    names = [*_sources(DRAWN, producers)]
    if None in names or len(set(names)) < len(names):
        return []
    for name in names:
        value = graph.output.add()
        value.name = name
        value.type.tensor_type.elem_type = FLOAT
        value.type.tensor_type.shape.dim.add().dim_param = "batch"
        value.type.tensor_type.shape.dim.add().dim_param = f"actions of {name}"
    return [str(name) for name in names]


def _sources(name: str, producers: dict[str, Any]) -> Iterator[str | None]:
    """What each draw is made from that a name is put together of; None for anything else."""
    node = producers.get(name)
    if node is None or node.op_type not in {"Multinomial", *HANDING}:
        yield None
    elif node.op_type == "Multinomial":
        yield node.input[0]
    else:
        for source in node.input if node.op_type == "Concat" else node.input[:1]:
            yield from _sources(source, producers)


def described(graph: Any, description: Description, actions: ActionSpace) -> Description:
    """What is served of an ML-Agents file, where `model.yaml` does not name an output.

    Numbered actions are drawn from the logits of their branches, as the game draws them; real
    numbers are the deterministic ones.

    Args:
        graph: Of the file; gets outputs for the logits.
        description: By `model.yaml`.
        actions: What the contract promises: where both kinds are served, in which order.

    Raises:
        UploadRejected: It puts out nothing but real numbers that it draws itself, or both kinds
            where the schema does not declare both.
    """
    outputs = [value.name for value in graph.output]
    if description.output is not None or not is_ml_agents(outputs):
        return description
    logits = expose_logits(graph)
    if CONTINUOUS not in outputs and "continuous_actions" in outputs:
        raise UploadRejected(
            "The model is an ML-Agents file (Unity) that puts out only actions that it draws "
            f"itself. Export it again with a newer ML-Agents, which adds the output `{CONTINUOUS}`."
        )
    if not logits:
        served = next((name for name in (CONTINUOUS, NUMBERED) if name in outputs), None)
        return replace(description, output=served)
    if CONTINUOUS not in outputs:
        pieces, reads = logits, "logits"
    else:
        pieces, reads = _hybrid(logits, actions), "means"
    output = pieces[0] if len(pieces) == 1 else Joined(tuple(map(Piece, pieces)))
    return replace(description, output=output, reads=description.reads or reads)


def _hybrid(logits: list[str], actions: ActionSpace) -> list[str]:
    """The outputs of hybrid actions, in the order that the schema declares."""
    sizes = actions.sizes or ()
    if not any(sizes) or all(sizes):
        raise UploadRejected(
            "The model is an ML-Agents file (Unity) of hybrid actions, numbered and continuous "
            "together: declare them in the schema, as `actions`, the branches "
            f"({len(logits)}) as `str` with `enum`, `bool` or bounded `int`, then the others as "
            "`float`, or these first."
        )
    changes = sum((one == 0) != (other == 0) for one, other in pairwise(sizes))
    if changes > 1:
        raise UploadRejected(
            "The model is an ML-Agents file (Unity) of hybrid actions, whose branches lie side by "
            "side: declare them one after the other, before or behind the continuous actions."
        )
    return [*logits, CONTINUOUS] if sizes[0] else [CONTINUOUS, *logits]
