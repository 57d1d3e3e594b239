"""The process of a device, from inside: what goes together, what is let go of, what it may do."""

import asyncio
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
import pytest

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.on_device import NETWORK, OnDevice
from policy_server.policy.onnx_device import DeviceNetwork
from policy_server.policy.onnx_session import PROCESSOR
from policy_server.sandbox import landlock
from policy_server.sandbox.device_server import Batches, Networks
from policy_server.sandbox.profile import ROOT
from tests.support.networks import linear_kernel, linear_onnx

KERNEL = linear_kernel(3, 4)


class Counted(DeviceNetwork):
    """A network that remembers of how many rows each run was."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, PROCESSOR, 4)
        self.rows: list[int] = []

    def run(self, features: Floats) -> Floats:
        self.rows.append(len(features))
        return super().run(features)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cuda"
    made.mkdir()
    (made / NETWORK).write_bytes(linear_onnx(3, 4))
    OnDevice(3, 4).write(made)
    return made


def test_what_is_asked_while_it_is_busy_goes_together(folder: Path) -> None:
    network = Counted(folder / NETWORK)
    features = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    parts = [features[: at % 5 + 1] for at in range(20)]

    async def ask() -> list[Floats]:
        with ThreadPoolExecutor(1) as thread:
            batches = Batches(network, thread)
            found = list(await asyncio.gather(*(batches.run(part) for part in parts)))
            with pytest.raises(EngineFailed):
                await batches.run(np.zeros((1, 2), np.float32))
            found.append(await batches.run(features))  # a failed run is of its own
            return found

    for part, outputs in zip([*parts, features], asyncio.run(ask()), strict=True):
        np.testing.assert_allclose(outputs, part @ KERNEL, atol=1e-5)
    together = sum(len(part) for part in parts)
    assert network.rows[:2] == [together, 1]


def test_batches_stay_within_what_a_run_may_have(folder: Path) -> None:
    network = Counted(folder / NETWORK)

    async def ask() -> None:
        with ThreadPoolExecutor(1) as thread:
            batches = Batches(network, thread)
            await asyncio.gather(*(batches.run(np.ones((400, 3), np.float32)) for _ in range(5)))

    asyncio.run(ask())
    assert network.rows == [800, 800, 400]


def test_a_network_is_loaded_when_it_is_asked_and_let_go_of_when_it_is_not_wanted(
    folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "models.json"
    file.write_bytes(msgspec.json.encode({"walker": str(folder), "gone": str(tmp_path / "gone")}))

    async def ask() -> None:
        networks = Networks(file, PROCESSOR)
        unloading = asyncio.create_task(networks.unload())
        first, second = await asyncio.gather(networks.of("walker"), networks.of("walker"))
        assert first is second
        with pytest.raises(LookupError):
            await networks.of("another")
        for _ in range(2):
            with pytest.raises(EngineFailed, match=r"on_device\.json is damaged"):
                await networks.of("gone")
        file.write_bytes(b"{}")
        async with asyncio.timeout(60):
            while True:
                try:
                    await networks.of("walker")
                except LookupError:
                    break
                await asyncio.sleep(0.1)
        unloading.cancel()

    asyncio.run(ask())


CONFINED = """
import socket, sys
from pathlib import Path
from policy_server.sandbox.confinement import confine_device
folder, port = Path(sys.argv[1]), int(sys.argv[2])
confine_device()
print((folder / "readable").read_text())
for attempt in (
    lambda: (folder / "new").write_text("x"),
    lambda: (folder / "readable").write_text("x"),
    lambda: (folder / "readable").unlink(),
    lambda: socket.create_connection(("127.0.0.1", port)),
):
    try:
        attempt()
    except PermissionError:
        print("refused")
Path("/dev/null").write_text("x")
Path("/dev/shm/policy-server-test").write_text("x")
Path("/dev/shm/policy-server-test").unlink()
"""


def test_it_reads_and_writes_to_no_file_and_connects_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "readable").write_text("read")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        command = [sys.executable, "-c", CONFINED, str(tmp_path), str(listening.getsockname()[1])]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    known = landlock.version()
    wanted = 0 if known == 0 else 3 if known < landlock.NETWORK_SINCE else 4
    assert done.stdout.split() == ["read", *["refused"] * wanted]
