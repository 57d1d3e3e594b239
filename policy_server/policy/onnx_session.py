"""ONNX Runtime, imported here alone: files of networks, loaded as all of this project run them."""

import os
from pathlib import Path
from typing import TypeAlias

from policy_server.errors import EngineFailed

# Before it is imported, or it reports to its vendor: it looks a name up, and keeps an identifier
# and a database in the user's cache folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

Session: TypeAlias = onnxruntime.InferenceSession
ROWS_AT_ONCE = "policy_server.rows_at_once"
"""In the metadata of a file that a build wrote: how many rows one run of it may take."""


def open_session(model: Path | bytes) -> Session:
    """Load an ONNX file, or its content, to be run in one thread.

    Raises:
        EngineFailed: It cannot be loaded.
    """
    options = onnxruntime.SessionOptions()
    # One request, one thread: several workers share the processors, and more threads fight.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    options.enable_profiling = False
    # Else a file may be in the runtime's own format, which nothing here has looked into.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    content = model if isinstance(model, bytes) else str(model)
    try:
        return Session(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own exceptions have no common root
        name = "the network" if isinstance(model, bytes) else model.name
        raise EngineFailed(f"ONNX Runtime cannot load {name}: {error}") from error


def rows_at_once(session: Session, most: int) -> int:
    """How many rows one run of a network may take: what its build found out, or the most."""
    told = session.get_modelmeta().custom_metadata_map.get(ROWS_AT_ONCE, "")
    return max(1, min(int(told), most)) if told.isdecimal() else most
