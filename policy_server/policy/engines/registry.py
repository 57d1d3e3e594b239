"""All engines, by the names that `network.json` gives them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers

Inspect = Callable[[Path, EngineServers], Coroutine[Any, Any, Mapping[str, Any]]]


@dataclass(frozen=True)
class Loader:
    """How an engine is loaded.

    Attributes:
        file: The file or folder that it runs, in a model's folder.
        word: What clients call the engine.
        load: Makes the engine of that file, the name of the output that is served, and the
            servers that the settings name; raises EngineFailed where it is damaged, or where the
            engine's library is not installed.
        own_process: What it runs is a program more than data: serving never runs it in a worker.
        remote: Another server runs it: a build, which has no network, asks its parent to.
        inspect: Asks that server what it knows of the model, where models may lie there alone.
    """

    file: str
    word: str
    load: Callable[[Path, str, EngineServers], Engine]
    own_process: bool = False
    remote: bool = False
    inspect: Inspect | None = None


def _onnxruntime(path: Path, output: str, servers: EngineServers) -> Engine:
    from policy_server.policy.engines.onnx import OnnxEngine

    return OnnxEngine(path)  # it has one output


def _tensorflow(path: Path, output: str, servers: EngineServers) -> Engine:
    from policy_server.policy.engines.tensorflow import TensorFlowEngine

    return TensorFlowEngine(path, output)


def _open_inference(path: Path, output: str, servers: EngineServers) -> Engine:
    from policy_server.policy.engines.open_inference import load

    return load(path, output, servers)


async def _inspect_open_inference(path: Path, servers: EngineServers) -> Mapping[str, Any]:
    from policy_server.policy.engines.open_inference import inspect

    async with asyncio.timeout(servers.seconds):
        return await inspect(path, servers)


def _tensorflow_serving(path: Path, output: str, servers: EngineServers) -> Engine:
    from policy_server.policy.engines.tensorflow_serving import load

    return load(path, output, servers)


def _cuda(path: Path, output: str, servers: EngineServers) -> Engine:
    from policy_server.policy.engines.cuda import load
    from policy_server.policy.engines.on_device import NETWORK

    return load(path, servers, lambda: _onnxruntime(path / NETWORK, output, servers))


ONNXRUNTIME, TENSORFLOW, OPEN_INFERENCE = "onnxruntime", "tensorflow", "open_inference"
TENSORFLOW_SERVING, CUDA = "tensorflow_serving", "cuda"
ENGINES = {
    ONNXRUNTIME: Loader("network.onnx", "onnx", _onnxruntime),
    CUDA: Loader("cuda", "cuda", _cuda, remote=True),
    TENSORFLOW: Loader("saved_model", "tensorflow", _tensorflow, own_process=True),
    TENSORFLOW_SERVING: Loader(
        "tensorflow_serving", "tensorflow_serving", _tensorflow_serving, remote=True
    ),
    OPEN_INFERENCE: Loader(
        "open_inference",
        "open_inference",
        _open_inference,
        remote=True,
        inspect=_inspect_open_inference,
    ),
}


def load_engine(
    name: str, folder: Path, output: str = "", servers: EngineServers = NO_SERVERS
) -> Engine:
    """Load the engine of a model's folder.

    Args:
        name: Of the engine.
        folder: Holds what the engine runs.
        output: Name of the model's output that is served, where it has several.
        servers: That may run it.

    Raises:
        EngineFailed: Nobody knows this engine, its library is not installed, or the file is
            damaged.
    """
    if name not in ENGINES:
        raise EngineFailed(f"there is no engine `{name}` here: {', '.join(ENGINES)} are.")
    loader = ENGINES[name]
    return loader.load(folder / loader.file, output, servers)
