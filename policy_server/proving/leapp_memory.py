"""What a LEAPP contract feeds back from one step to the next, and what it begins with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.memory_description import DeclaredMemory, Pair, Stack, line_of_pairs

FEEDBACK, INITIAL, NAME = "feedback", "initial", "name"
"""Keys of what is kept of a contract: its edges, first values of inputs, the model's own name."""
KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "BOOL": "?"}
"""Types of numbers in safetensors."""
LENGTH_BYTES, MOST_BYTES = 8, 50_000_000


def initial_values(
    contract: Path, pipeline: Mapping[str, Any], name: str
) -> dict[str, list[float]]:
    """The first values of a model's inputs, from the file of safetensors beside its contract.

    Args:
        contract: The YAML file.
        pipeline: That section of it.
        name: What it calls the model.

    Raises:
        UploadRejected: The file is not there, or damaged.
    """
    stated = pipeline.get("initial_values")
    if not stated:
        return {}
    file = contract.parent / Path(str(stated)).name
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MOST_BYTES:
        raise UploadRejected(
            f"{contract.name} is LEAPP's contract of a policy with memory, and {file.name}, with "
            "what its episodes begin with, does not lie beside it: copy it there."
        )
    try:
        values = _tensors(file.read_bytes())
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UploadRejected(
            f"{file.name} holds no sound safetensors ({type(error).__name__}: {error}): copy or "
            "export it again."
        ) from error
    ports = {key.partition("/") for key in values}
    return {port: values[f"{node}/{port}"] for node, _, port in sorted(ports) if node == name}


def _tensors(content: bytes) -> dict[str, list[float]]:
    """The numbers of each tensor; raises what damaged files lead to."""
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    head = json.loads(content[LENGTH_BYTES:start])
    found = {}
    for name, each in head.items():
        if name != "__metadata__":
            first, last = map(int, each["data_offsets"])
            array = np.frombuffer(content[start + first : start + last], KINDS[each["dtype"]])
            found[str(name)] = array.astype(np.float64).tolist()
    return found


def with_feedback(
    contract: Mapping[str, Any], declared: DeclaredMemory | None
) -> DeclaredMemory | None:
    """The memory by a contract, which what is declared has to agree with.

    Raises:
        UploadRejected: It does not, or the contract feeds one model from another.
    """
    pairs = tuple(_pairs(contract))
    if not pairs:
        return declared
    if declared is None:
        return pairs
    stated = {(pair.input, pair.output) for pair in pairs}
    same = not isinstance(declared, Stack) and {(e.input, e.output) for e in declared} == stated
    if not same:
        raise UploadRejected(
            "model.yaml says `memory`, and the LEAPP contract beside the file feeds back other "
            f"outputs: {line_of_pairs(pairs)}. Leave `memory` out."
        )
    return declared


def _pairs(contract: Mapping[str, Any]) -> list[Pair]:
    feedback, initial = contract.get(FEEDBACK) or {}, contract.get(INITIAL) or {}
    found: list[Pair] = []
    for source, targets in feedback.items():
        for target in targets if isinstance(targets, list) else [targets]:
            (one, _, output), (other, _, taken) = (str(e).partition("/") for e in (source, target))
            again = any(pair.output == output for pair in found)
            if {one, other} != {str(contract.get(NAME))} or again:
                raise UploadRejected(
                    f"By its LEAPP contract the model is fed `{target}` from `{source}`: outputs "
                    "of the model itself, each to one input, are carried from step to step, and "
                    "no others."
                )
            numbers = tuple(map(float, initial.get(taken) or ()))
            found.append(Pair(taken, output, numbers if any(numbers) else ()))
    return found
