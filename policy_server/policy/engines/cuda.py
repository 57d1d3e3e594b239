"""CUDA: networks that one process runs on a device for all workers, in batches of all of them.

Each worker has the network on its processor, too: for batches that take less time there, and for
the time in which the device does not answer.
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.http_client import HttpAnswer, HttpClient
from policy_server.policy.engines.on_device import OnDevice
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.remote import NotReady, RemoteEngine, Request, refused
from policy_server.policy.engines.servers import Device, EngineServers
from policy_server.policy.onnx_session import device_lack
from policy_server.policy.timing import MAX_BATCH


class DeviceWire:
    """Asks the process of the device: numbers go as bytes, in both directions.

    Args:
        name: Of the network there.
        network: What it takes and gives.
    """

    most_rows = MAX_BATCH

    def __init__(self, name: str, network: OnDevice) -> None:
        self._path = f"/{name}"
        self._network = network

    @property
    def who(self) -> str:
        """The process."""
        return "the device"

    @property
    def feature_width(self) -> int:
        """F."""
        return self._network.features

    def request(self, features: Floats) -> Request:
        """Ask about float32[B, F]."""
        most = len(features) * self._network.outputs * np.dtype("<f4").itemsize
        return Request(self._path, {}, features.astype("<f4", copy=False).tobytes(), most)

    def outputs(self, answer: HttpAnswer, rows: int) -> Floats:
        """The float32[B, W] of an answer."""
        if answer.status == 404:
            raise NotReady("it has not loaded the network yet")
        if answer.status != 200:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                raise EngineFailed(str(msgspec.json.decode(answer.body)["error"]))
            raise refused(answer)
        wanted = (rows, self._network.outputs)
        if len(answer.body) != np.prod(wanted) * np.dtype("<f4").itemsize:
            raise EngineFailed(f"it answers with {len(answer.body)} bytes for {rows} rows")
        return np.frombuffer(answer.body, "<f4").reshape(wanted).astype(np.float32)


class CudaEngine:
    """Runs a network on the device, and on the processor where that is faster, or all there is.

    An `AsyncEngine`, and `Degradable`: it always decides.

    Args:
        processor: The network here.
        network: What it takes and gives, and which batches the device is for.
        device: The network there; None where there is none.
        lack: Why not, where that is to be told.
        required: The operator wants the device: where it does not answer is to be told.
    """

    fault = None

    def __init__(
        self,
        processor: Engine,
        network: OnDevice,
        device: RemoteEngine | None,
        lack: str | None = None,
        *,
        required: bool = False,
    ) -> None:
        self._processor, self._device = processor, device
        self._rows_from = network.rows_from
        self._lack, self._required = lack, required

    @property
    def feature_width(self) -> int:
        """F, the numbers that the network takes."""
        return self._processor.feature_width

    @property
    def degraded(self) -> str | None:
        """Why the processor runs what the device should; None where that is nothing to tell."""
        lack = self._lack if self._device is None else self._device.fault
        if lack is None or not self._required:
            return None
        return f"The processor runs the network, more slowly than the device would: {lack}."

    async def run_async(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        if self._device is not None and len(features) >= self._rows_from:
            with contextlib.suppress(EngineFailed):  # it logs that, and looks when it is back
                return await self._device.run_async(features)
        return await asyncio.to_thread(self._processor.run, features)

    def run(self, features: Floats) -> Floats:
        """As `run_async`, where there is no event loop."""
        if self._device is not None and len(features) >= self._rows_from:
            with contextlib.suppress(EngineFailed):
                return self._device.run(features)
        return self._processor.run(features)

    def close(self) -> None:
        """Let go of the device."""
        if self._device is not None:
            self._device.close()


def load(
    folder: Path, servers: EngineServers, processor: Callable[[], Engine]
) -> CudaEngine | RemoteEngine:
    """The engine of a folder: while it is being built the device alone, which is to be proven.

    Args:
        folder: Holds the network, and what is known of it.
        servers: May know a device.
        processor: Loads the network here.

    Raises:
        EngineFailed: The folder is damaged; or it is being built, and there is no device.
    """
    network, recorded, device = OnDevice.read(folder), Recorded.read(folder), servers.device
    lack = "POLICY_SERVER_DEVICE is `cpu`" if device is None else device_lack(device.provider)
    if recorded is None:
        if device is None or lack is not None:
            raise EngineFailed(str(lack))
        return _asked(folder, network, device, servers, None)
    here, asked = processor(), None
    if device is not None and lack is None:
        try:
            asked = _asked(folder, network, device, servers, recorded)
        except EngineFailed as error:  # nothing can be written below BASE_PATH, say
            lack = str(error)
    required = device is not None and device.required
    return CudaEngine(here, network, asked, lack, required=required)


def _asked(
    folder: Path,
    network: OnDevice,
    device: Device,
    servers: EngineServers,
    recorded: Recorded | None,
) -> RemoteEngine:
    served = device.server.serve(folder)
    client = HttpClient(served.url)
    wire = DeviceWire(served.name, network)
    return RemoteEngine(wire, client, servers, recorded, released=served.close)
