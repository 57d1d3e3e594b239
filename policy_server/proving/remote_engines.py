"""How a build, which has no network, runs networks on other servers: its parent does it."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import AsyncEngine, Engine, Floats
from policy_server.policy.engines.registry import ENGINES, load_engine
from policy_server.policy.engines.remote import in_full
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.policy.network import Network
from policy_server.policy.timing import median_seconds
from policy_server.sandbox.child import Connection

MOST_BYTES = 4_000_000
"""Of the features of one message."""
READY_SECONDS = 120.0
"""A build waits longer than a worker: nothing decides by it yet."""
MOST_ENGINES = 100
"""That a build has at once; it closes none."""


class RemoteEngines(Protocol):
    """Engines whose networks other servers run, of one model's folder."""

    def inspect(self, name: str) -> Mapping[str, Any]:
        """What the server of an engine says of the model; raises EngineFailed."""

    def load(self, name: str, output: str) -> Engine:
        """An engine, by its name and the output that is served; raises EngineFailed."""


class ReachedEngines:
    """Reaches the servers from this process.

    Args:
        model: The folder of the model.
        servers: That the settings name.
    """

    def __init__(self, model: Path, servers: EngineServers = NO_SERVERS) -> None:
        self._model = model
        self._servers = replace(servers, ready_seconds=READY_SECONDS)
        self._engines: list[AsyncEngine] = []

    def inspect(self, name: str) -> Mapping[str, Any]:
        """What the server of an engine says of the model."""
        loader = ENGINES.get(name)
        if loader is None or loader.inspect is None:
            raise EngineFailed(f"no server is asked about models of the engine `{name}`")
        try:
            return asyncio.run(loader.inspect(self._model / loader.file, self._servers))
        except TimeoutError as error:
            raise EngineFailed(
                f"the inference server did not answer within {self._servers.seconds:g} seconds"
            ) from error

    def load(self, name: str, output: str) -> AsyncEngine:
        """An engine, by its name and the output that is served."""
        loader = ENGINES.get(name)
        if loader is None or not loader.remote or len(self._engines) >= MOST_ENGINES:
            raise EngineFailed(f"the engine `{name}` is none that another server runs")
        engine = load_engine(name, self._model, output, self._servers)
        assert isinstance(engine, AsyncEngine)
        self._engines.append(engine)
        return engine

    def answer(self, question: Mapping[str, Any]) -> bytes:
        """Do what an `AskedEngines` in another process asks for.

        Raises:
            ValueError, TypeError, LookupError: It is no such question.
        """
        try:
            if "inspect" in question:
                return json.dumps({"found": self.inspect(str(question["inspect"]))}).encode()
            if "load" in question:
                engine = self.load(str(question["load"]), str(question["output"]))
                loaded = {"engine": len(self._engines) - 1, "width": engine.feature_width}
                return json.dumps(loaded).encode()
            features = np.frombuffer(b64decode(question["features"]), "<f4")
            run = partial(
                self._engines[question["run"]].run, features.reshape(question["rows"], -1)
            )
            if "timed" in question:
                return json.dumps({"seconds": median_seconds(run)}).encode()
            outputs = run()
            content = b64encode(outputs.astype("<f4").tobytes()).decode()
            return json.dumps({"outputs": content, "width": outputs.shape[1]}).encode()
        except EngineFailed as error:
            return json.dumps({"failed": in_full(error)}).encode()

    def close(self) -> None:
        """Let go of all engines."""
        for engine in self._engines:
            engine.close()


class AskedEngines:
    """Has the parent of this process reach the servers; it looks at each question as a stranger's.

    Args:
        connection: To the parent, which answers each message `ask` with another.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def inspect(self, name: str) -> Mapping[str, Any]:
        """What the server of an engine says of the model."""
        found: Mapping[str, Any] = self.ask({"inspect": name})["found"]
        return found

    def load(self, name: str, output: str) -> Engine:
        """An engine, by its name and the output that is served."""
        loaded = self.ask({"load": name, "output": output})
        return _AskedEngine(self, loaded["engine"], loaded["width"])

    def ask(self, question: Mapping[str, Any]) -> Any:
        """Ask the parent, and wait for its answer; raises EngineFailed with what it says."""
        self._connection.send(json.dumps({"ask": question}).encode())
        received = self._connection.receive()
        if received is None:
            raise EngineFailed("the process that started the build is gone")
        answer = json.loads(received[1])
        if "failed" in answer:
            raise EngineFailed(answer["failed"])
        return answer


class _AskedEngine:
    def __init__(self, asked: AskedEngines, number: int, width: int) -> None:
        self._asked = asked
        self._number = number
        self.feature_width = width

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        most = max(1, MOST_BYTES // max(1, features[:1].nbytes))
        starts = range(0, max(1, len(features)), most)
        return np.concatenate([self._part(features[at : at + most]) for at in starts])

    def seconds(self, features: Floats) -> float:
        """How long the parent waits for one run, without the way to the parent."""
        return float(self._asked.ask({**self._question(features), "timed": True})["seconds"])

    def _question(self, features: Floats) -> dict[str, Any]:
        content = b64encode(features.astype("<f4").tobytes()).decode()
        return {"run": self._number, "rows": len(features), "features": content}

    def _part(self, features: Floats) -> Floats:
        answer = self._asked.ask(self._question(features))
        outputs = np.frombuffer(b64decode(answer["outputs"]), "<f4")
        return outputs.reshape(-1, answer["width"])


class NoEngines:
    """There are none: nobody says which servers there are."""

    def inspect(self, name: str) -> Mapping[str, Any]:
        """Raise EngineFailed."""
        raise EngineFailed("no other server is reached from here")

    def load(self, name: str, output: str) -> Engine:
        """Raise EngineFailed."""
        raise EngineFailed("no other server is reached from here")


NO_ENGINES = NoEngines()


def load_built(engines: RemoteEngines, name: str, model: Path, output: str) -> Engine:
    """The engine of a model that was built, here or on another server; raises EngineFailed."""
    if name in ENGINES and ENGINES[name].remote:
        return engines.load(name, output)
    return load_engine(name, model, output)


def loaded_by(engines: RemoteEngines) -> Callable[[Network, Path], Engine]:
    """How a network is loaded where these engines are at hand."""
    return lambda network, model: load_built(engines, network.engine, model, network.output)
