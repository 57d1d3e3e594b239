"""On a device of NVIDIA's: what nothing else can show. These fail where there is none.

`make test-gpu` runs them. They never ran so far.
"""

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest

from benchmarks.networks import write_network
from policy_server.policy.engines.engine import AsyncEngine, Degradable
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.engines.servers import CUDA_PROVIDER
from policy_server.policy.onnx_device import DeviceNetwork
from policy_server.policy.onnx_session import device_lack, open_device_session
from policy_server.proving.built_model import PROOF_TOLERANCE, compare, proof_features
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_network
from tests.support.contracts import contract_of, kept_contracts
from tests.support.device import ANY_TIME, device_pids, device_servers

FEATURES, ACTIONS = 64, 5
ROWS = (1, 2, 7, 8, 9, 63, 64, 65, 200)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 2,048 units in each layer: TF32 would be seen in its outputs."""
    path: Path = tmp_path_factory.mktemp("network") / "policy.onnx"
    write_network(path, FEATURES, 2048)
    return path


def test_onnx_runtime_has_cuda_and_finds_the_device(network: Path) -> None:
    assert device_lack(CUDA_PROVIDER) is None
    session = open_device_session(network, CUDA_PROVIDER, graphs=False)
    assert session.get_providers()[0] == CUDA_PROVIDER


def test_every_number_of_rows_gives_what_the_processor_gives(network: Path) -> None:
    device, processor = DeviceNetwork(network, CUDA_PROVIDER, ACTIONS), OnnxEngine(network)
    assert device.graphs
    features = proof_features(FEATURES)
    assert compare(device, processor, features) <= PROOF_TOLERANCE
    for rows in (*ROWS, *ROWS[::-1]):  # a graph that was recorded is done again with other numbers
        few = features[-rows:]
        np.testing.assert_allclose(device.run(few), processor.run(few), 1e-4, 1e-4)


def test_a_row_is_the_same_whatever_is_run_beside_it(network: Path) -> None:
    device, features = DeviceNetwork(network, CUDA_PROVIDER, ACTIONS), proof_features(FEATURES)[:64]
    first = device.run(features)
    np.testing.assert_array_equal(device.run(features), first)
    np.testing.assert_array_equal(device.run(features[::-1])[::-1], first)


def test_a_version_is_built_proven_and_run_there_by_a_confined_process(
    tmp_path: Path, network: Path
) -> None:
    contract, servers = contract_of(FEATURES), device_servers(tmp_path, CUDA_PROVIDER)
    store = open_store(tmp_path)
    publisher = Publisher(store, kept_contracts(contract, tmp_path), ANY_TIME, servers=servers)
    report = publisher.publish(Bundle({Part.MODEL: io.BytesIO(network.read_bytes())}))
    (detail,) = [check.detail for check in report.checks if check.name == "engine"]
    assert "the device runs every batch" in detail, detail
    folder = store.folder(report.version)
    features = proof_features(FEATURES)

    async def check() -> None:
        loaded = read_network(folder, contract).load_engine(folder / Part.MODEL, servers)
        assert isinstance(loaded, AsyncEngine)
        assert isinstance(loaded, Degradable)
        found = await loaded.run_async(features)
        assert loaded.degraded is None
        assert device_pids(tmp_path)
        np.testing.assert_allclose(found, OnnxEngine(network).run(features), 1e-4, 1e-4)
        loaded.close()

    asyncio.run(check())
