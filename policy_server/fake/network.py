"""A made-up policy for a schema: its network gives every action the same chance."""

from pathlib import Path

import numpy as np

from policy_server.contract.contract import Contract
from policy_server.contract.schema import ObservationSchema
from policy_server.policy.families.even import Even, even
from policy_server.proving.onnx_writing import INPUT, OnnxWriter

UNOBSERVED_FEATURES = 4
"""What the network takes where the schema has no observations."""
FILES = {"model": "policy.onnx", "schema": "schema.yaml", "description": "model.yaml"}
OUTPUT = "output"
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
    output, width = even(contract.actions), features or 1
    writer, count = OnnxWriter(width), len(output.inputs)
    served = writer.dense(INPUT, np.zeros((count, width)), np.array(output.inputs))
    writer.write(folder / FILES["model"], served, OUTPUT, count)
    (folder / FILES["description"]).write_text(f"output: {OUTPUT}\nreads: {output.reads}\n")
    if contract.actions.have_meanings and contract.actions.declared is None:
        mapper = _mapper(output, several=contract.actions.tuple)
        (folder / "output_mapper.yaml").write_text(mapper)


def _feature_width(schema: ObservationSchema) -> int | None:
    """How many numbers the fields make; None where that varies, and a preprocessor is wanted."""
    if not schema.is_observed:
        return UNOBSERVED_FEATURES
    widths = [field.feature_width for field in schema.featured.values()]
    return None if None in widths or not widths else sum(width or 0 for width in widths)


def _mapper(output: Even, *, several: bool) -> str:
    """Says how many actions there are."""
    heads = ["{" + ", ".join(f'{n}: "{n}"' for n in range(size)) + "}" for size in output.sizes]
    return f"[{', '.join(heads)}]\n" if several else f"{heads[0]}\n"
