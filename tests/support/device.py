"""A stand-in for a device: the same process, in which ONNX Runtime takes the processor instead."""

import sys
from pathlib import Path

from policy_server.policy.engines.servers import Device, EngineServers
from policy_server.policy.onnx_session import PROCESSOR
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.model_server import ModelServer, device_kind

ANY_TIME = BuildLimits(device="cuda", device_seconds=0.0, device_share=1e9)
"""Builds for the device whatever it takes: the stand-in is no faster than what it stands in for."""


def device_servers(
    base: Path, provider: str = PROCESSOR, *, required: bool = True
) -> EngineServers:
    """What a process of a server knows of the device of a BASE_PATH."""
    process = ModelServer(base, sys.executable, kind=device_kind(provider))
    return EngineServers(20.0, device=Device(process, provider, required=required))


def device_pids(base: Path) -> list[int]:
    """Processes that run networks on the device for a BASE_PATH."""
    wanted = [b"policy_server.sandbox.device_server\0", str(base).encode()]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if all(word in command for word in wanted):
            found.append(int(folder.name))
    return found
