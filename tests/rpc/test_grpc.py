"""The Open Inference Protocol over gRPC: by NVIDIA's clients, and by messages of our own."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from policy_server.rpc.messages import SERVICE, message_types
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import KEY, ROOT, environment, free_port, publish
from tests.support.triton import triton, write_model
from tests.support.tritonclient import tritonclient

SCHEMA = """\
observations:
  speed: {type: float, minimum: -5, maximum: 5}
  gear: {type: int, minimum: 0, maximum: 4}
  lit: {type: bool}
  kind: {type: str, enum: [car, bike]}
"""
FEATURES, ACTIONS = 5, 3
KERNEL = linear_kernel(FEATURES, ACTIONS)
ROWS = [(0.5, 1, True, "car"), (-2.25, 4, False, "bike"), (3.0, 0, True, "bike")]
BEARER = {"authorization": f"Bearer {KEY}"}
CREDENTIALS = (("authorization", f"Bearer {KEY}"),)
TYPES = message_types()


def numbers(rows: Any = ROWS) -> Any:
    """The network's numbers for rows, by its formula."""
    features = [[s, g, float(lit), kind == "car", kind == "bike"] for s, g, lit, kind in rows]
    return np.array(features, np.float32) @ KERNEL


class Process:
    """A `policy-server grpc`."""

    def __init__(self, base_path: Path, **settings: str) -> None:
        self.port = free_port()
        self._log = base_path.with_name(f"grpc-{self.port}.log")
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "generate.py", "grpc", "--port", str(self.port)],
                cwd=ROOT,
                env=environment(base_path, POLICY_SERVER_API_KEYS=KEY, **settings),
                stdout=output,
                stderr=output,
            )

    def log(self) -> str:
        return self._log.read_text()

    def await_ready(self) -> None:
        for _ in range(1200):
            assert self.process.poll() is None, self.log()
            if "gRPC on 127.0.0.1:" in self.log():
                return
            time.sleep(0.05)
        raise AssertionError(self.log())

    def call(self, name: str, request: Any, **options: Any) -> Any:
        """Call it, in the clear."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            return ask(channel, name, request, **options)


def ask(channel: Any, name: str, request: Any, **options: Any) -> Any:
    call = channel.unary_unary(
        f"/{SERVICE}/{name}",
        TYPES[f"{name}Request"].SerializeToString,
        TYPES[f"{name}Response"].FromString,
    )
    return call(request, **{"metadata": CREDENTIALS, "timeout": 30, **options})


@contextlib.contextmanager
def serving(base_path: Path, **settings: str) -> Iterator[Process]:
    started = Process(base_path, **settings)
    try:
        started.await_ready()
        yield started
    finally:
        started.process.terminate()
        started.process.wait(30)
    assert started.process.returncode == 0, started.log()


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grpc") / "policy"
    folder.mkdir()
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "model.onnx").write_bytes(linear_onnx(FEATURES, ACTIONS))
    return folder


@pytest.fixture(scope="module")
def base_path(policy: Path) -> Path:
    return publish(policy, policy.with_name("instance"))


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Process]:
    with serving(base_path) as server:
        yield server


def typed_request(**changes: Any) -> Any:
    """A request whose tensors are numbers of the message, not bytes."""
    speed, gear, lit, kind = zip(*ROWS, strict=True)
    request = TYPES["ModelInferRequest"](model_name="default", id="7")
    for name, datatype, place, values in (
        ("speed", "FP64", "fp64_contents", speed),
        ("gear", "INT32", "int_contents", gear),
        ("lit", "BOOL", "bool_contents", lit),
        ("kind", "BYTES", "bytes_contents", [each.encode() for each in kind]),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[len(ROWS), 1])
        getattr(tensor.contents, place).extend(changes.get(name, values))
    return request


def found(response: Any, name: str) -> Any:
    places = [each.name for each in response.outputs]
    index = places.index(name)
    dtype = {"INT64": "<i8", "FP64": "<f8", "FP32": "<f4"}[response.outputs[index].datatype]
    values = np.frombuffer(response.raw_output_contents[index], dtype)
    return values.reshape(response.outputs[index].shape)


def test_typed_numbers_are_decided_on(server: Process) -> None:
    request = typed_request()
    request.parameters.add(key="deterministic", value=TYPES["InferParameter"](bool_param=True))
    response = server.call("ModelInfer", request)
    expected = numbers()
    np.testing.assert_allclose(found(response, "distribution_inputs"), expected, rtol=1e-5)
    assert found(response, "action")[:, 0].tolist() == expected.argmax(axis=1).tolist()
    assert (response.model_name, response.id) == ("default", "7")


def test_a_seed_makes_draws_repeatable(server: Process) -> None:
    request = typed_request()
    request.parameters.add(key="seed", value=TYPES["InferParameter"](int64_param=5))
    first, second = (server.call("ModelInfer", request) for _ in range(2))
    assert first == second


def refused(server: Process, name: str, request: Any, **options: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.RpcError) as error:
        server.call(name, request, **options)
    return error.value.code(), error.value.details()


TWICE = (("x-api-key", KEY), ("x-api-key", "another-key-of-sixteen"))


def test_what_is_wrong_has_a_code_and_a_sentence(server: Process) -> None:
    code = grpc.StatusCode
    request = TYPES["ModelMetadataRequest"]
    for name, sent, options, status, words in (
        ("ModelInfer", typed_request(gear=[9, 0, 0]), {}, code.INVALID_ARGUMENT, "gear"),
        ("ModelInfer", typed_request(gear=[1]), {}, code.INVALID_ARGUMENT, "`gear`"),
        ("ModelInfer", typed_request(kind=[b"\xff"] * 3), {}, code.INVALID_ARGUMENT, "no UTF-8"),
        ("ModelInfer", typed_request(), {"metadata": ()}, code.UNAUTHENTICATED, "credentials"),
        ("ModelMetadata", request(name="default"), {"metadata": ()}, code.UNAUTHENTICATED, "cred"),
        ("ModelInfer", typed_request(), {"metadata": TWICE}, code.INVALID_ARGUMENT, "came twice"),
        ("ModelMetadata", request(name="other"), {}, code.NOT_FOUND, "`default` is served"),
        ("ModelMetadata", request(name="../x"), {}, code.NOT_FOUND, "`default` is served"),
        ("ModelMetadata", request(name="default", version="9"), {}, code.NOT_FOUND, "9"),
    ):
        found_code, text = refused(server, name, sent, **options)
        assert (found_code, words in text) == (status, True), text
    wrong = typed_request()
    wrong.raw_input_contents.append(b"1")
    assert refused(server, "ModelInfer", wrong)[0] is code.INVALID_ARGUMENT
    large = typed_request(kind=[b"x" * 20_000_000] * 3)
    assert refused(server, "ModelInfer", large)[0] is code.RESOURCE_EXHAUSTED


def test_health_wants_no_credentials(server: Process) -> None:
    for name, field in (("ServerLive", "live"), ("ServerReady", "ready")):
        answer = server.call(name, TYPES[f"{name}Request"](), metadata=())
        assert getattr(answer, field) is True
    assert not server.call("ModelReady", TYPES["ModelReadyRequest"](name="other")).ready


def test_a_version_that_is_published_elsewhere_decides(
    policy: Path, base_path: Path, server: Process
) -> None:
    before = server.call("ModelInfer", typed_request())
    (policy / "model.onnx").write_bytes(linear_onnx(FEATURES, ACTIONS, kernel=-KERNEL))
    publish(policy, base_path)
    try:
        for _ in range(600):
            response = server.call("ModelInfer", typed_request())
            if response.model_version != before.model_version:
                break
            time.sleep(0.05)
        np.testing.assert_allclose(found(response, "distribution_inputs"), -numbers(), rtol=1e-5)
        version = server.call("ModelMetadata", TYPES["ModelMetadataRequest"](name="default"))
        assert list(version.versions) == [response.model_version]
    finally:
        (policy / "model.onnx").write_bytes(linear_onnx(FEATURES, ACTIONS))
        publish(policy, base_path)


def test_nvidias_clients_say_the_same_of_it_and_of_a_real_triton(
    server: Process, tmp_path: Path
) -> None:
    write_model(tmp_path / "models", "default", {"1": KERNEL})
    rows = np.random.default_rng(2).uniform(-2, 2, (9, FEATURES)).astype(np.float32)

    def questions(name: str, output: str) -> list[dict[str, Any]]:
        tensor = {"name": name, "datatype": "FP32", "dtype": "float32"}
        whole = {**tensor, "shape": [9, FEATURES], "data": rows.ravel().tolist()}
        narrow = {**tensor, "shape": [9, FEATURES - 1], "data": rows[:, 1:].ravel().tolist()}
        asked = {"call": "infer", "inputs": [whole], "outputs": [output], "model": "default"}
        return [
            {**asked, **changes, "client": client}
            for client in ("grpc", "grpc-aio")
            for changes in ({}, {"inputs": [narrow]}, {"model": "other"})
        ] + [
            {"client": "grpc", "call": call, "arguments": arguments}
            for call, arguments in (
                ("is_server_live", []),
                ("is_server_ready", []),
                ("is_model_ready", ["default"]),
                ("is_model_ready", ["other"]),
            )
        ]

    port = free_port()
    with triton(tmp_path / "triton", tmp_path / "models", port):
        expected = tritonclient(f"127.0.0.1:{port}", questions("obs", "logits"))
    ours = questions("features", "distribution_inputs")
    for question, answer, same in zip(
        ours, tritonclient(f"127.0.0.1:{server.port}", ours, BEARER), expected, strict=True
    ):
        if isinstance(same, bool):
            assert answer is same, question
        elif "refused" in same:
            assert answer["status"] == same["status"], (answer, same)
        else:
            (values,), (others,) = answer["values"].values(), same["values"].values()
            np.testing.assert_allclose(values, others, rtol=1e-5, atol=1e-5)
            assert [*answer["shapes"].values()] == [*same["shapes"].values()]


def test_it_speaks_tls(base_path: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        ["sh", ROOT / "deploy/certificates.sh", tmp_path / "tls", "127.0.0.1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    tls = {
        "POLICY_SERVER_TLS_CERTIFICATE": str(tmp_path / "tls/fullchain.pem"),
        "POLICY_SERVER_TLS_KEY": str(tmp_path / "tls/key.pem"),
    }
    with serving(base_path, **tls) as server:
        trusted = grpc.ssl_channel_credentials((tmp_path / "tls/authority.pem").read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{server.port}", trusted) as channel:
            response = ask(channel, "ModelInfer", typed_request())
        np.testing.assert_allclose(found(response, "distribution_inputs"), numbers(), rtol=1e-5)
        assert refused(server, "ServerLive", TYPES["ServerLiveRequest"](), timeout=5)[0] in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        )


def test_a_port_that_is_taken_is_told(base_path: Path, server: Process) -> None:
    done = subprocess.run(
        [sys.executable, "generate.py", "grpc", "--port", str(server.port)],
        cwd=ROOT,
        env=environment(base_path, POLICY_SERVER_API_KEYS=KEY),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "Traceback" not in done.stderr
