"""The engine of the Open Inference Protocol, and servers that say anything."""

import asyncio
import json
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import AsyncEngine
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.registry import OPEN_INFERENCE, load_engine
from policy_server.policy.engines.served_model import ServedModel, Tensor
from policy_server.policy.engines.servers import EngineServers
from tests.support.raw_server import Piece, RawServer, http, raw_server

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
X = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], np.float32)
JSON_LENGTH = "Inference-Header-Content-Length"
SECONDS = 1.0
Pieces = list[Piece]


def features_of(head: bytes, body: bytes) -> NDArray[np.float32]:
    """What a request in either form asks about."""
    lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(lines.get(JSON_LENGTH.encode(), len(body)))
    (tensor,) = json.loads(body[:length])["inputs"]
    assert tensor["datatype"] == "FP32"
    assert tensor["name"] == "obs"
    numbers = tensor.get("data")
    flat = np.frombuffer(body[length:], "<f4") if numbers is None else np.array(numbers, np.float32)
    return flat.reshape(tensor["shape"])


def outputs_of(head: bytes, body: bytes) -> NDArray[np.float32]:
    """The right answer."""
    return (features_of(head, body) @ KERNEL).astype(np.float32)


def soundly(head: bytes, body: bytes) -> Pieces:
    """The right answer, as bytes."""
    return [as_bytes(outputs_of(head, body))]


def as_bytes(outputs: NDArray[np.float32], **changes: Any) -> bytes:
    content = outputs.astype("<f4").tobytes()
    output = {
        "name": "logits",
        "datatype": "FP32",
        "shape": [*outputs.shape],
        "parameters": {"binary_data_size": len(content)},
        **changes,
    }
    head = json.dumps({"model_name": "m", "outputs": [output]}).encode()
    return http(head + content, headers=[f"{JSON_LENGTH}: {len(head)}"])


def as_json(**changes: Any) -> bytes:
    output = {"name": "logits", "datatype": "FP32", "shape": [2, 4], "data": [0.0] * 8, **changes}
    return http(json.dumps({"outputs": [output]}).encode())


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server(soundly) as started:
        yield started


@pytest.fixture
def engine(server: RawServer, tmp_path: Path) -> Callable[..., AsyncEngine]:
    """An engine of that server; it was built when the server answered soundly."""

    def load(rows: int = 64, recorded: bool = False, seconds: float = SECONDS) -> AsyncEngine:
        folder = tmp_path / OPEN_INFERENCE
        folder.mkdir(exist_ok=True)
        tensors = (Tensor("obs", "FP32", (-1, 3)), Tensor("logits", "FP32", (-1, 4)))
        ServedModel("there", "walk er/é", "1", *tensors, rows=rows).write(folder)
        if recorded:
            Recorded(X, (X @ KERNEL).astype(np.float32)).write(folder)
        servers = EngineServers(seconds, inference={"there": server.url})
        loaded = load_engine(OPEN_INFERENCE, tmp_path, "logits", servers)
        assert isinstance(loaded, AsyncEngine)
        return loaded

    return load


def test_it_asks_in_bytes_over_one_connection(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    asked = engine()
    for rows in (X, X[:1], np.repeat(X, 100, axis=0)):
        np.testing.assert_allclose(asked.run(rows), rows @ KERNEL, atol=1e-6)
    asked.close()
    assert server.connections == 1
    heads = {head.split(b"\r\n")[0] for head, _ in server.requests}
    assert heads == {b"POST /v2/models/walk%20er%2F%C3%A9/versions/1/infer HTTP/1.1"}
    assert max(len(features_of(*request)) for request in server.requests) == 64


def test_where_bytes_are_refused_it_asks_in_json(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    def in_json(head: bytes, body: bytes) -> Pieces:
        if JSON_LENGTH.encode() in head:
            return [http(b'{"detail": "no JSON"}', 422)]
        outputs = outputs_of(head, body)
        return [as_json(shape=[*outputs.shape], data=outputs.tolist())]

    server.answer = in_json
    asked = engine()
    for _ in range(3):
        np.testing.assert_allclose(asked.run(X), X @ KERNEL, atol=1e-6)
    asked.close()
    refused = [head for head, _ in server.requests if JSON_LENGTH.encode() in head]
    assert len(refused) == 1


NONSENSE: dict[str, tuple[Pieces, str]] = {
    "another shape": ([as_bytes(np.zeros((2, 3), np.float32))], "has the shape"),
    "another number of rows": ([as_bytes(np.zeros((4, 2), np.float32))], "has the shape"),
    "another type": ([as_bytes(np.zeros((2, 4), np.float32), datatype="FP64")], "is FP64"),
    "another output": ([as_bytes(np.zeros((2, 4), np.float32), name="value")], "none to what"),
    "bytes that are cut": (
        [as_bytes(np.zeros((2, 4), np.float32), parameters={"binary_data_size": 64})],
        "cut short",
    ),
    "fewer bytes than it says": (
        [as_bytes(np.zeros((2, 4), np.float32), parameters={"binary_data_size": 16})],
        "it sends 4 numbers",
    ),
    "half a number": (
        [as_bytes(np.zeros((2, 4), np.float32), parameters={"binary_data_size": 31})],
        "none to what",
    ),
    "a negative size": (
        [as_bytes(np.zeros((2, 4), np.float32), parameters={"binary_data_size": -1})],
        "a number of bytes is -1",
    ),
    "a shape of nonsense": ([as_bytes(np.zeros((2, 4), np.float32), shape=[2, "4x"])], "a size"),
    "no JSON": ([http(b"{")], "none to what"),
    "JSON that is nested without end": ([http(b"[" * 4_000)], "none to what"),
    "a list": ([http(b"[]")], "none to what"),
    "no outputs": ([http(b'{"outputs": []}')], "none to what"),
    "texts": ([as_json(data=["1"] * 8)], "its data holds str"),
    "too few numbers": ([as_json(data=[0.0] * 7)], "it sends 7 numbers"),
    "a number beyond all": (
        [
            http(
                b'{"outputs": [{"name": "logits", "datatype": "FP32", "shape": [2, 4], '
                b'"data": [1' + b"0" * 4000 + b", 0, 0, 0, 0, 0, 0, 0]}]}"
            )
        ],
        "none to what",
    ),
    "an error of its own": ([http(b'{"error": "out of memory"}', 500)], "status 500"),
    "no such model": ([http(b'{"error": "unknown"}', 404)], "status 404"),
    "no HTTP": ([b"220 mail.example.org ESMTP\r\n"], "no HTTP"),
    "a length that is none": ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"], "no HTTP"),
    "nothing": ([], "hangs up"),
    "half an answer": ([as_bytes(np.zeros((2, 4), np.float32))[:-3], b""], "within 0.4 seconds"),
    "a trickle": ([piece for _ in range(40) for piece in (b"H", 0.1)], "within 0.4 seconds|HTTP"),
    "silence": ([3.0], "within 0.4 seconds"),
    "too much": ([http(b" " * 200_000)], "more than"),
    "a head without end": ([b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000], "more than"),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_told_and_never_believed(
    server: RawServer, engine: Callable[..., AsyncEngine], nonsense: str
) -> None:
    asked = engine(seconds=0.4)
    np.testing.assert_allclose(asked.run(X), X @ KERNEL, atol=1e-6)
    pieces, words = NONSENSE[nonsense]
    server.answer = lambda *_: pieces
    with pytest.raises(EngineFailed, match=words):
        asked.run(X)
    server.answer = soundly
    np.testing.assert_allclose(asked.run(X), X @ KERNEL, atol=1e-6)  # nothing is left of it
    asked.close()


def test_what_is_told_of_nonsense_is_short(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    asked = engine()
    asked.run(X)
    said = [as_json(datatype="\x1b[31m" + "x" * 5_000)]
    server.answer = lambda *_: said
    with pytest.raises(EngineFailed) as failed:
        asked.run(X)
    asked.close()
    assert len(str(failed.value)) < 500
    assert str(failed.value).isprintable()


def test_numbers_that_are_none_are_handed_on_for_their_rows_alone(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    outputs = np.array([[np.nan] * 4, [1, 2, -np.inf, 4]], np.float32)
    asked = engine()
    asked.run(X)
    server.answer = lambda *_: [as_bytes(outputs)]
    np.testing.assert_array_equal(asked.run(X), outputs)
    asked.close()


def test_a_connection_that_was_closed_meanwhile_costs_no_request(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    asked = engine()
    asked.run(X)
    server.hang_up()
    np.testing.assert_allclose(asked.run(X), X @ KERNEL, atol=1e-6)
    asked.close()
    assert server.connections == 2


def test_an_absent_server_is_told(server: RawServer, engine: Callable[..., AsyncEngine]) -> None:
    asked = engine()
    server.close()
    with pytest.raises(EngineFailed, match="the inference server `there`: it cannot be reached"):
        asked.run(X)
    asked.close()


def test_another_network_behind_the_name_never_decides(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    """Nor does it when it is exchanged while this server runs, and the right one comes back."""

    async def scenario() -> list[str | None]:
        asked, faults = engine(recorded=True), []
        np.testing.assert_allclose(await asked.run_async(X), X @ KERNEL, atol=1e-6)
        server.answer = lambda head, body: [as_bytes(-outputs_of(head, body))]
        server.hang_up()  # as who exchanges a network does
        with pytest.raises(EngineFailed, match="runs another network"):
            await asked.run_async(X)
        faults.append(await fault_of(asked, absent=False))
        with pytest.raises(EngineFailed, match="runs another network"):
            await asked.run_async(X)
        server.answer = soundly
        faults.append(await fault_of(asked, absent=True))
        np.testing.assert_allclose(await asked.run_async(X), X @ KERNEL, atol=1e-6)
        asked.close()
        return faults

    faults = asyncio.run(scenario())
    assert faults[0] is not None
    assert "runs another network" in faults[0]
    assert faults[1] is None


async def fault_of(asked: AsyncEngine, *, absent: bool) -> str | None:
    """The fault of an engine, once it has one, or has none any more."""
    deadline = time.monotonic() + 20
    while (asked.fault is None) != absent and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return asked.fault


def test_many_ask_at_once_and_nobody_holds_the_loop(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    server.answer = lambda head, body: [0.3, *soundly(head, body)]

    async def scenario() -> tuple[list[Any], int]:
        asked, turns = engine(), 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        turning = asyncio.create_task(turn())
        await asked.run_async(X)
        answers = await asyncio.gather(*(asked.run_async(X + each) for each in range(8)))
        turning.cancel()
        asked.close()
        return answers, turns

    answers, turns = asyncio.run(scenario())
    for each, answer in enumerate(answers):
        np.testing.assert_allclose(answer, (X + each) @ KERNEL, atol=1e-5)
    assert turns > 50
    assert server.connections <= 9


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"server": "there"}', b"\xff"])
def test_a_damaged_file_is_told(
    engine: Callable[..., AsyncEngine], tmp_path: Path, damage: bytes
) -> None:
    engine().close()
    (tmp_path / OPEN_INFERENCE / "model.json").write_bytes(damage)
    with pytest.raises(EngineFailed, match="damaged"):
        load_engine(
            OPEN_INFERENCE, tmp_path, "logits", EngineServers(1, inference={"there": "http://x"})
        )


def test_a_server_that_no_setting_names_is_not_reached(
    server: RawServer, engine: Callable[..., AsyncEngine], tmp_path: Path
) -> None:
    engine().close()
    with pytest.raises(EngineFailed, match="no inference server `there`: `other`"):
        load_engine(
            OPEN_INFERENCE, tmp_path, "logits", EngineServers(1, inference={"other": server.url})
        )
    assert server.connections == 0


def test_numbers_have_little_ends_on_the_wire(
    server: RawServer, engine: Callable[..., AsyncEngine]
) -> None:
    asked = engine()
    asked.run(X[:1])
    asked.close()
    assert server.requests[-1][1].endswith(struct.pack("<3f", *X[0]))
