"""How long networks of several sizes take on the processor, and on a device by way of its process.

`make benchmark-gpu` prints the table; it fails where there is no device.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.networks import ACTIONS, write_network
from policy_server.policy.engines.cuda import load
from policy_server.policy.engines.on_device import NETWORK, OnDevice
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.engines.servers import CUDA_PROVIDER, Device, EngineServers
from policy_server.policy.timing import BATCHES, median_seconds
from policy_server.proving.built_model import compare, proof_features
from policy_server.sandbox.model_server import ModelServer, device_kind

FEATURES = 256
HIDDEN = (64, 256, 1024, 4096)
"""Units of each of two hidden layers."""
READY_SECONDS = 120.0


def measure(folder: Path, provider: str, hidden: Sequence[int] = HIDDEN) -> list[list[str]]:
    """A line for each network: its units, microseconds for BATCHES rows here and there, difference.

    Args:
        folder: Empty; networks and the files of the process lie there.
        provider: What ONNX Runtime calls the device.
        hidden: Units of the networks.

    Raises:
        EngineFailed: There is no such device.
    """
    process = ModelServer(folder, sys.executable, kind=device_kind(provider))
    device = Device(process, provider, required=True)
    servers = EngineServers(ready_seconds=READY_SECONDS, device=device)
    lines = []
    for units in hidden:
        files = folder / str(units) / "model" / "cuda"
        files.mkdir(parents=True)
        write_network(files / NETWORK, FEATURES, units)
        OnDevice(FEATURES, ACTIONS).write(files)
        here, features = OnnxEngine(files / NETWORK), proof_features(FEATURES)
        # Nothing is recorded there: so this is the device alone, without the processor behind it.
        with contextlib.closing(load(files, servers, partial(OnnxEngine, files))) as there:
            difference = compare(there, here, features)
            times = [
                f"{median_seconds(partial(engine.run, features[:rows])) * 1e6:.0f}"
                for engine in (here, there)
                for rows in BATCHES
            ]
        lines.append([str(units), *times, f"{difference:.0e}"])
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--provider", default=CUDA_PROVIDER, help="what ONNX Runtime calls it")
    provider = parser.parse_args(arguments).provider
    heads = ["units", *(f"{place} {rows}" for place in ("cpu", "device") for rows in BATCHES)]
    with tempfile.TemporaryDirectory(prefix="policy-server-") as folder:
        lines = measure(Path(folder), provider)
    for cells in ([*heads, "difference"], ["---"] * (len(heads) + 1), *lines):
        sys.stdout.write(f"| {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
