"""ONNX Runtime, imported here alone: files of networks, loaded as all of this project run them."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed
from policy_server.policy.engines.servers import CUDA_PROVIDER

# Before it is imported, or it reports to its vendor: it looks a name up, and keeps an identifier
# and a database in the user's cache folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

Session: TypeAlias = onnxruntime.InferenceSession
ROWS_AT_ONCE = "policy_server.rows_at_once"
"""In the metadata of a file that a build wrote: how many rows one run of it may take."""
PROCESSOR = "CPUExecutionProvider"
OPTIONS: dict[str, dict[str, str]] = {
    PROCESSOR: {},
    CUDA_PROVIDER: {
        "device_id": "0",
        # Without it, matrices are multiplied with 10 bits of each fraction: no proof would hold.
        "use_tf32": "0",
        # The default tries all algorithms for each shape, and may take another one each time.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Of its memory as much as is needed, not powers of two: others may use the device too.
        "arena_extend_strategy": "kSameAsRequested",
    },
}
"""How networks are run, by what ONNX Runtime calls the places where it runs them."""
DEVICES = {PROCESSOR: "cpu", CUDA_PROVIDER: "cuda"}
"""What it calls their memory."""


def open_session(model: Path | bytes) -> Session:
    """Load an ONNX file, or its content, to be run in one thread on the processor.

    Raises:
        EngineFailed: It cannot be loaded.
    """
    content = model if isinstance(model, bytes) else str(model)
    try:
        return Session(content, _options(), providers=[PROCESSOR])
    except Exception as error:  # the runtime's own exceptions have no common root
        name = "the network" if isinstance(model, bytes) else model.name
        raise EngineFailed(f"ONNX Runtime cannot load {name}: {error}") from error


def device_lack(provider: str) -> str | None:
    """Why the ONNX Runtime that is installed runs nothing there; None where it may."""
    if provider in onnxruntime.get_available_providers():
        return None
    return (
        f"the ONNX Runtime that is installed has no {provider}: install requirements-gpu.txt in "
        "its place"
    )


def open_device_session(path: Path, provider: str, *, graphs: bool) -> Session:
    """Load an ONNX file, to be run on a device.

    Args:
        path: The file.
        provider: The device.
        graphs: Record what a run does, and do it again as a whole (CUDA graphs): all of the network
            must run on the device then, in buffers that stay (`FixedRun`).

    Raises:
        EngineFailed: It cannot be loaded, or ONNX Runtime would run it elsewhere: without a device
            it takes the processor, and says so to nobody who does not ask.
    """
    chosen = dict(OPTIONS[provider])
    if provider == CUDA_PROVIDER:
        chosen["enable_cuda_graph"] = str(int(graphs))
        onnxruntime.preload_dlls()  # those that were installed as Python packages
    try:
        session = Session(str(path), _options(), providers=[(provider, chosen)])
    except Exception as error:  # as above
        raise EngineFailed(f"ONNX Runtime cannot load {path.name} there: {error}") from error
    if (found := session.get_providers())[0] != provider:
        raise EngineFailed(
            f"ONNX Runtime finds no device for its {provider}, and took {found[0]} instead: its "
            "log says why (a driver or a library of CUDA is missing, or too old)"
        )
    return session


class FixedRun:
    """Runs of one number of rows, in buffers that stay where they are on a device.

    Args:
        session: Of `open_device_session`, with one input and one output.
        provider: Its device.
        given: What it takes, as zeros: shape and type.
        found: What it gives, likewise.
    """

    def __init__(
        self, session: Session, provider: str, given: NDArray[Any], found: NDArray[Any]
    ) -> None:
        self._session = session
        value, device = onnxruntime.OrtValue.ortvalue_from_numpy, DEVICES[provider]
        self._given, self._found = value(given, device, 0), value(found, device, 0)
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(session.get_inputs()[0].name, self._given)
        self._binding.bind_ortvalue_output(session.get_outputs()[0].name, self._found)
        self._options = onnxruntime.RunOptions()
        # Of several numbers of rows, each has a graph of its own.
        self._options.add_run_config_entry("gpu_graph_id", str(len(given)))

    def run(self, batch: NDArray[Any]) -> NDArray[Any]:
        """What the network gives to a batch of that shape and type."""
        self._given.update_inplace(np.ascontiguousarray(batch))
        self._session.run_with_iobinding(self._binding, self._options)
        return np.array(self._found.numpy())  # where memory is shared, the next run writes to it


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    # One request, one thread: several workers share the processors, and more threads fight.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    options.enable_profiling = False
    # Else a file may be in the runtime's own format, which nothing here has looked into.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def rows_at_once(session: Session, most: int) -> int:
    """How many rows one run of a network may take: what its build found out, or the most."""
    told = session.get_modelmeta().custom_metadata_map.get(ROWS_AT_ONCE, "")
    return max(1, min(int(told), most)) if told.isdecimal() else most
