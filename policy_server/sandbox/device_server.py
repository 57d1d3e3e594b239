"""The process that runs networks on a device, for all workers; its supervisor keeps it running.

    python -P start.py policy_server.sandbox.device_server PORT FILE PROVIDER

It is asked over HTTP, on this machine alone, below a path that only processes of its user know:
`POST /SECRET/NAME` with float32[B, F] as bytes is answered with float32[B, W]. FILE says which
names there are. A network is loaded when it is asked first, and unloaded when FILE has it no more.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

import httptools
import msgspec
import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.on_device import NETWORK, OnDevice
from policy_server.policy.onnx_device import DeviceNetwork
from policy_server.policy.timing import MAX_BATCH
from policy_server.sandbox.confinement import confine_device
from policy_server.sandbox.model_server import PATH_VARIABLE, POLL_SECONDS

AGAIN_SECONDS = 10.0
"""After which a network that could not be loaded is tried again: each try may take seconds."""
MOST_BYTES = 1_000_000_000
"""Of a request."""


class Batches:
    """Runs of one network: what is asked for while the device is busy is put together.

    Args:
        network: Run in the thread.
        thread: Of all networks: the device does one thing after the other.
    """

    def __init__(self, network: DeviceNetwork, thread: ThreadPoolExecutor) -> None:
        self.network = network
        self._thread = thread
        self._waiting: list[tuple[Floats, asyncio.Future[Floats]]] = []
        self._working: asyncio.Task[None] | None = None

    async def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]; raises EngineFailed."""
        outcome: asyncio.Future[Floats] = asyncio.get_running_loop().create_future()
        self._waiting.append((features, outcome))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await outcome

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            taken = self._next()
            together = np.concatenate([features for features, _ in taken])
            try:
                found = await loop.run_in_executor(self._thread, self.network.run, together)
            except EngineFailed as error:
                for _, outcome in taken:
                    if not outcome.done():
                        outcome.set_exception(EngineFailed(str(error)))
                continue
            ends = np.cumsum([len(features) for features, _ in taken])
            for (_, outcome), outputs in zip(taken, np.split(found, ends[:-1]), strict=True):
                if not outcome.done():  # else nobody waits any more
                    outcome.set_result(outputs)
        self._working = None

    def _next(self) -> list[tuple[Floats, "asyncio.Future[Floats]"]]:
        """The requests that go together next: the first ones, of MAX_BATCH rows at most."""
        rows = count = 0
        for features, _ in self._waiting:
            rows += len(features)
            if count and rows > MAX_BATCH:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken


class Networks:
    """The networks that are wanted, loaded when they are asked.

    Args:
        file: Says which there are: their folders by their names, as JSON.
        provider: What ONNX Runtime calls the device.
    """

    def __init__(self, file: Path, provider: str) -> None:
        self._file, self._provider = file, provider
        self._thread = ThreadPoolExecutor(1)
        self._loaded: dict[str, asyncio.Task[Batches]] = {}

    async def of(self, name: str) -> Batches:
        """The network of a name, which is loaded first where it is not; raises EngineFailed.

        Raises:
            LookupError: None is wanted by that name.
        """
        if name not in self._loaded:
            task = asyncio.create_task(self._load(Path(self._wanted()[name])))
            self._loaded[name] = task
            task.add_done_callback(partial(self._forget_failed, name))
        return await asyncio.shield(self._loaded[name])

    async def unload(self) -> None:
        """Let go of what is wanted no longer, again and again."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for name in self._loaded.keys() - self._wanted().keys():
                del self._loaded[name]

    async def _load(self, folder: Path) -> Batches:
        width, loop = OnDevice.read(folder).outputs, asyncio.get_running_loop()
        opening = partial(DeviceNetwork, folder / NETWORK, self._provider, width)
        return Batches(await loop.run_in_executor(self._thread, opening), self._thread)

    def _forget_failed(self, name: str, task: "asyncio.Task[Batches]") -> None:
        if task.exception() is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(AGAIN_SECONDS, self._loaded.pop, name, None)

    def _wanted(self) -> Mapping[str, str]:
        return msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])


class Exchange(asyncio.Protocol):
    """One connection: requests, one after the other.

    Args:
        networks: What is asked.
        secret: The path that all requests are below.
    """

    def __init__(self, networks: Networks, secret: str) -> None:
        self._networks, self._secret = networks, secret
        self._parser = httptools.HttpRequestParser(self)
        self._path, self._body = b"", bytearray()
        self._transport: asyncio.Transport | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's: the connection is there."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's: some bytes of a request."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.abort()

    def abort(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """httptools': a request begins."""
        self._path, self._body = b"", bytearray()

    def on_url(self, url: bytes) -> None:
        """httptools': some of the path."""
        self._path += url

    def on_body(self, body: bytes) -> None:
        """httptools': some of the body."""
        self._body += body
        if len(self._body) > MOST_BYTES:
            self.abort()

    def on_message_complete(self) -> None:
        """httptools': the request is whole; clients send the next one after its answer."""
        answer = self._answer(self._path.decode("latin-1"), bytes(self._body))
        self._answering = asyncio.get_running_loop().create_task(answer)

    async def _answer(self, path: str, body: bytes) -> None:
        status, answer = 200, b""
        try:
            secret, _, name = path.rpartition("/")
            if secret != self._secret:
                raise LookupError
            batches = await self._networks.of(name)
            width = batches.network.feature_width
            features = np.frombuffer(body, "<f4").reshape(-1, width)
            answer = (await batches.run(features)).astype("<f4", copy=False).tobytes()
        except LookupError:
            status = 404
        except Exception as error:  # whatever a file makes the runtime raise
            words = str(error) if isinstance(error, EngineFailed) else repr(error)
            status, answer = 500, msgspec.json.encode({"error": words})
        if self._transport is not None:
            head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(answer)}\r\n\r\n"
            self._transport.write(head.encode() + answer)


async def serve(port: int, file: Path, provider: str, secret: str) -> None:
    """Answer, until the process ends."""
    networks = Networks(file, provider)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(networks, secret), "127.0.0.1", port)
    confine_device()
    async with server:
        await networks.unload()


def main() -> None:
    """Answer as the arguments say."""
    port, file, provider = sys.argv[1:]
    asyncio.run(serve(int(port), Path(file), provider, os.environ.pop(PATH_VARIABLE)))


if __name__ == "__main__":
    main()
