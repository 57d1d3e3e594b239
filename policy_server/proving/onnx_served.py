"""Writes the ONNX file that is served, once it is known how much a run of it takes."""

from pathlib import Path
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.policy.onnx_session import ROWS_AT_ONCE
from policy_server.policy.timing import MAX_BATCH
from policy_server.proving.onnx_allowed import check_amount, check_operations
from policy_server.proving.onnx_bounds import MOST_BYTES, needs
from policy_server.proving.onnx_file import inlined

FEWER = 4
"""So many times fewer rows are tried where a run takes too much."""


def write_served(model: Any, target: Path, width: int) -> None:
    """Write a network, with how many rows one run of it may take.

    Args:
        model: ONNX's ModelProto, of one input.
        target: The file.
        width: F, taken for axes that the network leaves open.

    Raises:
        UploadRejected: It does something else than to compute, how much it takes depends on the
            observations, or that is too much.
    """
    check_amount(model)
    check_operations(model)
    rows = _rows_at_once(model, width)
    kept = [each for each in model.metadata_props if each.key != ROWS_AT_ONCE]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    if rows < MAX_BATCH:
        model.metadata_props.add(key=ROWS_AT_ONCE, value=str(rows))
    target.write_bytes(model.SerializeToString())


def _rows_at_once(model: Any, width: int) -> int:
    flat = inlined(model)
    needs(flat, 1, width)
    most = MOST_BYTES + 4 * flat.ByteSize()
    rows = MAX_BATCH
    while rows > 1 and not _fits(flat, rows, width, most):
        rows //= FEWER
    return rows


def _fits(flat: Any, rows: int, width: int, most: int) -> bool:
    try:
        return needs(flat, rows, width).bytes <= most
    except UploadRejected:  # what many rows take grows faster than their number
        return False
