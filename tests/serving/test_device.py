"""Versions that a device runs: one process for all workers, and the processor where it is gone.

There is no device here. The process, the way to it, the build and what is done without it are the
real ones; what ONNX Runtime is told to take for the device is the processor.
"""

import asyncio
import contextlib
import io
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from scipy import special

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import AsyncEngine, Degradable, Engine, Floats
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.servers import CUDA_PROVIDER, EngineServers
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.description import Description
from policy_server.proving.device import on_faster, rows_from
from policy_server.proving.limits import BuildLimits
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.readers.registry import read_model
from policy_server.proving.remote_engines import RemoteEngines
from policy_server.sandbox.model_server import State
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import LiveVersion, load_version
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_network
from tests.serving.conftest import CONTRACT
from tests.support.contracts import kept_contracts
from tests.support.device import ANY_TIME, device_pids, device_servers
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.recurrent import EPISODE, OTHER, LongShort, lstm_steps, play
from tests.support.server import gunicorn

KERNEL = linear_kernel(3, 4)
XS = np.random.default_rng(2).uniform(-2, 2, (90, 3)).astype(np.float32)
EXPECTED = special.softmax(XS @ KERNEL, axis=1)
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose active version is built for the device."""
    folder: Path = tmp_path_factory.mktemp("device")
    contracts, store = kept_contracts(CONTRACT, folder), open_store(folder)
    publisher = Publisher(store, contracts, ANY_TIME, servers=device_servers(folder))
    report = publisher.publish(Bundle({Part.MODEL: io.BytesIO(linear_onnx(3, 4))}))
    (engine,) = [check.detail for check in report.checks if check.name == "engine"]
    assert "the device runs every batch" in engine
    assert "agrees with the processor's to" in engine
    return folder


def test_episodes_of_a_policy_with_memory_are_those_of_the_formulas(tmp_path: Path) -> None:
    contracts, store = kept_contracts(CONTRACT, tmp_path), open_store(tmp_path)
    servers = device_servers(tmp_path)
    publisher = Publisher(store, contracts, ANY_TIME, servers=servers)
    report = publisher.publish(Bundle({Part.MODEL: io.BytesIO(LongShort().content())}))
    (engine,) = [check.detail for check in report.checks if check.name == "engine"]
    assert "the device runs every batch" in engine
    folder = store.folder(report.version)
    network = read_network(folder, CONTRACT)
    assert network.engine == "cuda"
    assert network.memory is not None
    asked = network.load_engine(folder / Part.MODEL, servers)
    assert isinstance(asked, AsyncEngine)
    with contextlib.closing(asked) as loaded:
        found = play(loaded, network.memory, EPISODE, OTHER)
        assert isinstance(loaded, Degradable)
        assert loaded.degraded is None
        assert device_pids(tmp_path)
    np.testing.assert_allclose(found, [lstm_steps(EPISODE), lstm_steps(OTHER)], atol=1e-5)


@contextlib.asynccontextmanager
async def loaded(base: Path, servers: EngineServers) -> AsyncIterator[LiveVersion]:
    """The active version, as a worker has it."""
    store = open_store(base)
    name = store.active()
    assert name is not None
    version = await load_version(store, name, CONTRACT, ServingLimits(), servers)
    try:
        yield version
    finally:
        version.close()
        await asyncio.sleep(0.05)  # it ends once nothing is under way


async def decides(version: LiveVersion) -> None:
    """It decides on all of XS, asked for at once; no decision is wrong."""
    records = [version.policy.decoder.convert({"x": x}) for x in XS.tolist()]
    calls = [version.decider.decide([record], "describe") for record in records]
    answers = await asyncio.gather(*calls)
    found = [answer[0]["heads"][0]["probabilities"] for answer in answers]
    np.testing.assert_allclose(found, EXPECTED, atol=1e-5)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


def test_one_process_runs_it_for_all_workers_and_is_started_again(base: Path) -> None:
    async def check() -> None:
        async with (
            loaded(base, device_servers(base)) as one,
            loaded(base, device_servers(base)) as other,
        ):
            await asyncio.gather(decides(one), decides(other))
            (pid,) = device_pids(base)
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: one.policy.degraded is not None)
            assert one.policy.fault is None
            assert "The processor runs the network, more slowly" in str(one.policy.degraded)
            await decides(one)
            await decides(other)
            await eventually(lambda: not one.policy.degraded and not other.policy.degraded)
            (again,) = device_pids(base)
            assert again != pid
            await decides(one)
            assert not one.policy.degraded

    asyncio.run(check())


def test_who_does_not_know_the_path_is_told_nothing(base: Path) -> None:
    async def check() -> None:
        async with loaded(base, device_servers(base)):
            (file,) = base.glob("device/*/state.json")
            assert file.stat().st_mode & 0o077 == 0
            url = State(**json.loads(file.read_bytes())).url
            (wanted,) = json.loads((file.parent / "models.json").read_bytes())
            address, _, secret = url.rpartition("/")
            assert len(secret) > 20
            ask = partial_post(XS[:1].tobytes())
            assert await asyncio.to_thread(ask, f"{url}/{wanted}") == 200
            assert await asyncio.to_thread(ask, f"{url}/another") == 404
            assert await asyncio.to_thread(ask, f"{address}/{wanted}") == 404
            assert await asyncio.to_thread(ask, f"{address}/guessed/{wanted}") == 404

    asyncio.run(check())


def partial_post(body: bytes) -> Callable[[str], int]:
    return lambda url: requests.post(url, body, timeout=60).status_code


def test_a_process_that_gives_something_else_than_at_the_build_decides_nothing(
    base: Path, tmp_path: Path
) -> None:
    other = tmp_path / "base"
    shutil.copytree(base, other, ignore=shutil.ignore_patterns("device"))
    (folder,) = other.rglob("cuda")
    recorded = Recorded.read(folder)
    assert recorded is not None
    Recorded(recorded.features, recorded.outputs[::-1]).write(folder)  # of another network
    store = open_store(other)
    name = store.active()
    assert name is not None
    network = read_network(store.folder(name), CONTRACT)

    async def check() -> None:
        engine = network.load_engine(store.folder(name) / Part.MODEL, device_servers(other))
        assert isinstance(engine, AsyncEngine)
        assert isinstance(engine, Degradable)
        np.testing.assert_allclose(await engine.run_async(XS), XS @ KERNEL, atol=1e-5)
        await eventually(lambda: engine.degraded is not None)
        assert "it answers otherwise than at the build" in str(engine.degraded)
        engine.close()

    asyncio.run(check())


@pytest.mark.parametrize("required", [True, False])
def test_without_a_device_the_processor_decides_and_says_why_where_one_is_wanted(
    base: Path, required: bool
) -> None:
    async def check() -> None:
        servers = device_servers(base, CUDA_PROVIDER, required=required)
        async with loaded(base, servers) as version:
            await decides(version)
            assert version.policy.fault is None
            told = "has no CUDAExecutionProvider: install requirements-gpu.txt"
            assert (told in str(version.policy.degraded)) is required

    asyncio.run(check())


def test_where_its_process_cannot_be_asked_for_the_processor_decides(
    base: Path, tmp_path: Path
) -> None:
    (tmp_path / "device").touch()  # where its files would lie

    async def check() -> None:
        async with loaded(base, device_servers(tmp_path)) as version:
            await decides(version)
            assert "what the device is to serve cannot be written" in str(version.policy.degraded)

    asyncio.run(check())


def test_readiness_of_a_server_says_so(base: Path) -> None:
    with gunicorn(base, POLICY_SERVER_DEVICE="cuda") as server:
        health = server.get("health/ready")
        assert health.status_code == 200
        assert health.json()["status"] == "degraded"
        assert "CUDAExecutionProvider" in health.json()["detail"]
        found = server.post("distribution", {"x": XS[0].tolist()}).json()["heads"][0]
        np.testing.assert_allclose(found["probabilities"], EXPECTED[0], atol=1e-5)
        (version,) = server.get("versions").json()["versions"]
        assert version["engine"] == "cuda"


@pytest.mark.parametrize(
    ("processor", "device", "expected"),
    [
        ((10, 20, 80), (5, 5, 6), 1),
        ((10, 20, 80), (12, 12, 14), 8),
        ((10, 20, 80), (30, 30, 30), 64),
        ((10, 20, 80), (30, 30, 79), None),  # it is faster, by less than is worth a process
        ((10, 20, 80), (5, 30, 30), 64),  # its first number is luck
        ((10, 20, 80), (5, 5, 90), None),
    ],
)
def test_each_batch_is_run_where_it_takes_less(
    processor: tuple[float, ...], device: tuple[float, ...], expected: int | None
) -> None:
    assert rows_from(processor, device, 0.9) == expected


class Given:
    """What a build asks for the device, answered here: it computes what it is given."""

    def __init__(self, kernel: NDArray[np.float32] | None = None) -> None:
        self.kernel = KERNEL if kernel is None else kernel
        self.feature_width = 3

    def inspect(self, name: str) -> Mapping[str, Any]:
        raise EngineFailed(name)

    def load(self, name: str, output: str) -> Engine:
        assert name == "cuda"
        return self

    def run(self, features: Floats) -> Floats:
        return np.asarray(features @ self.kernel)


def built(folder: Path, engines: RemoteEngines, here: float, limits: BuildLimits) -> BuiltModel:
    """A model for which the processor takes so many seconds, and the device 200 us, each time."""
    (folder / "model").mkdir()
    (folder / "policy.onnx").write_bytes(linear_onnx(3, 4))
    upload = ModelUpload(
        folder / "policy.onnx",
        folder / "model",
        CONTRACT,
        Description(),
        limits,
        lambda _: None,
        engines=engines,
    )
    model = read_model(upload)
    found = on_faster(
        model, upload, lambda engine, _: 200e-6 if isinstance(engine, Given) else here
    )
    found.save()
    return found


AUTO, CUDA, CPU = BuildLimits(), BuildLimits(device="cuda"), BuildLimits(device="cpu")


@pytest.mark.parametrize(
    ("limits", "here", "engine", "said"),
    [
        (AUTO, 1e-3, "cuda", "the device runs every batch"),
        (CUDA, 1e-3, "cuda", "200 us there and 1000 us here for 64"),
        (AUTO, 150e-6, "onnxruntime", "the device does not: it is not faster for 64 rows"),
        (AUTO, 90e-6, "onnxruntime", None),
        (CUDA, 90e-6, "onnxruntime", "a row takes 90 us here, and to ask a device 100 us"),
        (CPU, 1e-3, "onnxruntime", None),
    ],
)
def test_what_is_measured_decides_where_it_runs(
    tmp_path: Path, limits: BuildLimits, here: float, engine: str, said: str | None
) -> None:
    found = built(tmp_path, Given(), here, limits)
    assert found.description.engine == engine
    detail = found.description.engine_detail
    assert "the device" not in detail if said is None else said in detail
    laid = {path.name for path in (tmp_path / "model").iterdir()}
    assert laid == {"network.json", "cuda" if engine == "cuda" else "network.onnx"}


def test_a_device_that_gives_something_else_is_left_at_the_build(tmp_path: Path) -> None:
    found = built(tmp_path, Given(KERNEL + 0.01), 1e-3, AUTO)
    assert found.description.engine == "onnxruntime"
    assert "the device does not: its output differs from the processor's" in (
        found.description.engine_detail
    )
    assert not (tmp_path / "model/cuda").exists()


class Absent(Given):
    def load(self, name: str, output: str) -> Engine:
        raise EngineFailed("the driver is too old")


@pytest.mark.parametrize("limits", [AUTO, CUDA])
def test_an_absent_device_is_told_where_it_is_wanted(tmp_path: Path, limits: BuildLimits) -> None:
    found = built(tmp_path, Absent(), 1e-3, limits)
    assert found.description.engine == "onnxruntime"
    assert ("the driver is too old" in found.description.engine_detail) is (limits is CUDA)
