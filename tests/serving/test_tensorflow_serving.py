"""Versions whose network TensorFlow Serving runs: built, proven, loaded, refused where it is away.

Faults of TensorFlow Serving are in test_engines.py, with those of every other engine.
"""

import asyncio
import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from examples.quiet_tensorflow import tf
from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.address import Address
from policy_server.policy.engines.registry import ONNXRUNTIME, TENSORFLOW_SERVING
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.model_server import ModelServer, wanted_folders
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_description
from tests.support.contracts import contract_of, kept_contracts
from tests.support.counterparts import Counterpart, running
from tests.support.model_server import program
from tests.support.networks import linear_onnx
from tests.support.saved_models import categorical, save, weights
from tests.support.server import free_port

KERNEL = weights(4)
XS = np.random.default_rng(2).uniform(0.5, 2, (20, 3)).astype(np.float32)
CONTRACT = contract_of()
PATIENCE_SECONDS = 60.0


class Base:
    """A store, and TensorFlow Serving for it."""

    def __init__(self, folder: Path, program: str, url: str = "") -> None:
        self.folder, self.program = folder, program
        self.servers = EngineServers(10.0, tensorflow=ModelServer(folder, program, url))
        self.store = open_store(folder)

    def publish(
        self,
        model: bytes,
        description: str = "",
        engine: str = TENSORFLOW_SERVING,
    ) -> VersionReport:
        parts = {Part.MODEL: io.BytesIO(model)}
        if description:
            parts[Part.DESCRIPTION] = io.BytesIO(description.encode())
        contracts, limits = kept_contracts(CONTRACT, self.folder), BuildLimits(engine=engine)
        return Publisher(self.store, contracts, limits, servers=self.servers).publish(Bundle(parts))

    def engine_of(self, report: VersionReport) -> str:
        return read_description(self.store.folder(report.version) / Part.MODEL).engine

    def outputs(
        self, report: VersionReport, servers: EngineServers | None = None
    ) -> NDArray[np.float32]:
        """The distribution inputs of a version for XS, loaded as a worker does."""

        async def run() -> NDArray[np.float32]:
            version = await load_version(
                self.store, report.version, CONTRACT, ServingLimits(), servers or self.servers
            )
            try:
                return await version.policy.run_async(XS)
            finally:
                version.close()

        return asyncio.run(run())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("serving")
    return Base(folder / "base", str(program(folder)))


def model_of(folder: Path, make: Any, *kernels: NDArray[np.float32]) -> bytes:
    return save(folder / "model.zip", make, kernels or [KERNEL]).read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Logits are the features times a matrix; the model draws itself."""
    return model_of(tmp_path_factory.mktemp("m"), lambda x, w: categorical(x @ w, (4,)))


def test_the_same_file_follows_the_setting(base: Base, plain: bytes) -> None:
    first = base.publish(plain)
    assert base.engine_of(first) == TENSORFLOW_SERVING
    (detail,) = [each.detail for each in first.checks if each.name == "engine"]
    assert detail.startswith("TensorFlow Serving runs the reduced network; on 256 random inputs")
    assert base.publish(plain).version == first.version
    other = base.publish(plain, engine=ONNXRUNTIME)
    assert base.engine_of(other) == ONNXRUNTIME
    assert base.publish(plain).version == first.version
    np.testing.assert_allclose(base.outputs(first), XS @ KERNEL, atol=1e-5)
    np.testing.assert_allclose(base.outputs(other), XS @ KERNEL, atol=1e-5)


def test_what_onnx_has_no_words_for_is_run(base: Base, tmp_path: Path) -> None:
    model = model_of(tmp_path, lambda x, w: categorical(tf.math.igamma(x**2, 1.0) @ w, (4,)))
    report = base.publish(model)
    assert base.engine_of(report) == TENSORFLOW_SERVING
    expected = special.gammainc(XS.astype(float) ** 2, 1.0) @ KERNEL
    np.testing.assert_allclose(base.outputs(report), expected, atol=1e-4)


def test_normalisation_is_written_into_the_network(base: Base, tmp_path: Path) -> None:
    model = model_of(tmp_path, lambda x, w: {"logits": x @ w})
    report = base.publish(
        model, "normalise: {mean: [1, 2, 3], variance: [4, 4, 4], epsilon: 0, clip: 0.5}\n"
    )
    assert base.engine_of(report) == TENSORFLOW_SERVING
    seen = np.clip((XS - [1, 2, 3]) / 2, -0.5, 0.5)
    np.testing.assert_allclose(base.outputs(report), seen @ KERNEL, atol=1e-5)


def test_where_the_setting_is_gone_the_version_says_so(base: Base, plain: bytes) -> None:
    report = base.publish(plain)
    with pytest.raises(EngineFailed, match="POLICY_SERVER_ENGINE does not say"):
        base.outputs(report, servers=NO_SERVERS)


def test_without_its_program_an_upload_is_refused_and_nothing_lost(
    plain: bytes, tmp_path: Path
) -> None:
    base = Base(tmp_path / "base", str(tmp_path / "tensorflow_model_server"))
    before = base.publish(linear_onnx(3, 4))
    with pytest.raises(UploadRejected, match="there is no program `"):
        base.publish(plain)
    assert base.store.active() == before.version


def test_one_that_runs_already_is_told_what_to_serve(plain: bytes, tmp_path: Path) -> None:
    """It polls the file that is written for it, and nobody else is started."""
    port, base_path = free_port(), tmp_path / "base"
    base = Base(base_path, "", f"http://127.0.0.1:{port}")
    assert base.servers.tensorflow is not None
    base.servers.tensorflow.serve(tmp_path / "none").close()
    configuration = base_path / "tensorflow_serving" / socket.gethostname() / "models.config"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not configuration.is_file():
        assert time.monotonic() < deadline
    command = [
        str(program(tmp_path)),
        "--port=0",
        f"--rest_api_port={port}",
        f"--model_config_file={configuration}",
        "--model_config_file_poll_wait_seconds=1",
    ]
    log = tmp_path / "log"
    with running(Counterpart(command, port, "/v1/models/none", log, refusal=404)):
        report = base.publish(plain)
        np.testing.assert_allclose(base.outputs(report), XS @ KERNEL, atol=1e-5)


def test_one_that_is_just_ending_is_followed_by_another(plain: bytes, tmp_path: Path) -> None:
    """Nothing was wanted for a while; then something is, while the program is on its way out."""
    slow = tmp_path / "slow"
    leaving = "kill $pid; wait $pid; sleep 2; exit"
    slow.write_text(
        f"#!/bin/sh\n'{program(tmp_path)}' \"$@\" &\npid=$!\ntrap '{leaving}' TERM\nwait $pid\n"
    )
    slow.chmod(0o755)
    base = Base(tmp_path / "base", str(slow))
    report = base.publish(plain)
    assert isinstance(base.servers.tensorflow, ModelServer)
    address = Address.of(base.servers.tensorflow.url())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _listens(address):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    np.testing.assert_allclose(base.outputs(report), XS @ KERNEL, atol=1e-5)


def _listens(address: Address) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address[:2]):
        return True
    return False


def test_what_a_dead_process_wanted_is_wanted_no_more(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from policy_server.sandbox.model_server import Wanted\n"
        "wanted = Wanted(None, Path(sys.argv[1]), Path('/there/versions/7-ab/model/x'))\n"
        "print(wanted.name, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        assert name.startswith("7-ab-")
        assert wanted_folders(tmp_path) == {name: "/there/versions/7-ab/model/x"}
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while wanted_folders(tmp_path):
        assert time.monotonic() < deadline
    assert list(tmp_path.iterdir()) == []


def test_what_is_being_written_is_not_taken_for_what_a_dead_process_left(tmp_path: Path) -> None:
    """Between the making of a file and its lock there is a moment."""
    young, old = tmp_path / ".7-ab.young", tmp_path / ".7-ab.old"
    for path in (young, old):
        path.touch()
    os.utime(old, (0, 0))
    assert wanted_folders(tmp_path) == {}
    assert list(tmp_path.iterdir()) == [young]
