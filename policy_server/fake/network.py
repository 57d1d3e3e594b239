"""A made-up policy for a schema: its network gives every action the same chance."""

from pathlib import Path

import numpy as np

from policy_server.contract.actions import ActionSpace, Kind
from policy_server.contract.contract import Contract
from policy_server.contract.schema import ObservationSchema
from policy_server.proving.onnx_writing import INPUT, OnnxWriter

UNDECLARED_ACTIONS, UNDECLARED_COMPONENTS, UNOBSERVED_FEATURES = 4, 2, 4
"""What is made up where the schema does not say it."""
FILES = {"model": "policy.onnx", "schema": "schema.yaml", "description": "model.yaml"}
OUTPUT = "output"
READS = {Kind.NUMBERED: "logits", Kind.REAL: "beta", Kind.MIXED: "mean_log_std"}
"""As `model.yaml` has it. A Beta distribution with both numbers 1 is uniform, and keeps bounds."""
PREPROCESSOR = "def preprocess(observation):\n    return [0.0]\n"


def write_policy(contract: Contract, schema: bytes, folder: Path) -> None:
    """Lay a policy into a folder, as `publish` takes it.

    Args:
        contract: Of the schema.
        schema: The file's content.
        folder: It is there, and empty.
    """
    (folder / FILES["schema"]).write_bytes(schema)
    features = _feature_width(contract.schema)
    if features is None:
        (folder / "preprocessor.py").write_text(PREPROCESSOR)
    numbers = _distribution_inputs(contract.actions)
    writer = OnnxWriter(features or 1)
    weight = np.zeros((len(numbers), features or 1))
    output = writer.dense(INPUT, weight, np.array(numbers))
    writer.write(folder / FILES["model"], output, OUTPUT, len(numbers))
    reads = READS[contract.actions.kind]
    (folder / FILES["description"]).write_text(f"output: {OUTPUT}\nreads: {reads}\n")
    if contract.actions.kind is Kind.NUMBERED and contract.actions.declared is None:
        (folder / "output_mapper.yaml").write_text(_mapper(contract.actions))


def _feature_width(schema: ObservationSchema) -> int | None:
    """How many numbers the fields make; None where that varies, and a preprocessor is wanted."""
    if not schema.is_observed:
        return UNOBSERVED_FEATURES
    widths = [field.feature_width for field in schema.featured.values()]
    return None if None in widths or not widths else sum(width or 0 for width in widths)


def _sizes(actions: ActionSpace) -> list[int]:
    """How many actions each component has, 0 for a dimension."""
    if actions.sizes is not None:
        return [*actions.sizes]
    size = UNDECLARED_ACTIONS if actions.kind is Kind.NUMBERED else 0
    return [size] * (UNDECLARED_COMPONENTS if actions.tuple else 1)


def _distribution_inputs(actions: ActionSpace) -> list[float]:
    sizes = _sizes(actions)
    if actions.kind is Kind.REAL:
        return [1.0] * 2 * len(sizes)
    return [0.0] * sum(size or 2 for size in sizes)


def _mapper(actions: ActionSpace) -> str:
    """Says how many actions there are."""
    heads = ["{" + ", ".join(f'{n}: "{n}"' for n in range(size)) + "}" for size in _sizes(actions)]
    return f"[{', '.join(heads)}]\n" if actions.tuple else f"{heads[0]}\n"
