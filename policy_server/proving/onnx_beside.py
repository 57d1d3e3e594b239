"""What lies beside an ONNX file and belongs to it, written into it: an upload is one file."""

from pathlib import Path

from policy_server.proving.formats import HEAD_BYTES, refuse_foreign_file
from policy_server.proving.leapp import KEY, contract_beside
from policy_server.proving.onnx_file import (
    MOST_BYTES,
    embed_weights,
    may_lack_weights,
    with_metadata,
)


def with_what_lies_beside(model: Path, most_bytes: int = MOST_BYTES) -> bytes | None:
    """An ONNX file with the weights and LEAPP's contract from beside it; None if nothing is there.

    Args:
        model: The file.
        most_bytes: Of what is made.

    Raises:
        UploadRejected: It is no ONNX file, or what lies beside it is of another file.
    """
    content = model.read_bytes()
    contract = contract_beside(model)
    if contract is None and not may_lack_weights(content):
        return None
    refuse_foreign_file(content[:HEAD_BYTES])
    content = embed_weights(model, most_bytes)
    return content if contract is None else with_metadata(content, KEY, contract)
