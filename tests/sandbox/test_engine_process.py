"""An engine in a process of its own: as in this one, bounded, and replaced when it ends."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policy_server.errors import EngineFailed
from policy_server.policy.network import Network
from policy_server.sandbox.conversation import Conversation
from policy_server.sandbox.engine_child import EngineTask
from policy_server.sandbox.engine_process import MODULE, EngineProcess
from policy_server.sandbox.framing import NotAReply
from policy_server.sandbox.limits import EngineLimits
from policy_server.sandbox.process import ChildProcess
from tests.support.hostile_saved_models import FEATURES, KERNEL, OUTPUTS, exported, nothing

NETWORK = Network("tensorflow", FEATURES, "categorical", (OUTPUTS,), output="logits")
ROWS = np.random.default_rng(2).standard_normal((3000, FEATURES)).astype(np.float32)
DEADLINE_SECONDS = 120.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder, for TensorFlow."""
    folder = tmp_path_factory.mktemp("model")
    exported(folder / "saved_model", nothing)
    return folder


def children() -> list[int]:
    """Process ids of this process's own engines."""
    pids = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids}
    return [pid for pid, command in commands.items() if b"engine_child" in command]


async def until(what: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_it_gives_what_the_network_gives_and_outlives_its_process(model: Path) -> None:
    """One after the other: a long batch, killed while idle, killed while asked, closed."""

    async def use(engine: EngineProcess) -> None:
        found = await engine.run_async(ROWS)  # more than go at once
        np.testing.assert_allclose(found, ROWS @ KERNEL, atol=1e-5)
        (first,) = children()
        os.kill(first, signal.SIGKILL)
        await until(lambda: children() not in ([], [first]))  # nobody has asked for it
        np.testing.assert_allclose(await engine.run_async(ROWS[:2]), ROWS[:2] @ KERNEL, atol=1e-5)
        (second,) = children()
        os.kill(second, signal.SIGSTOP)
        asked = asyncio.ensure_future(engine.run_async(ROWS[:1]))
        await asyncio.sleep(0.1)
        os.kill(second, signal.SIGKILL)
        with pytest.raises(EngineFailed, match="signal 9"):
            await asked
        np.testing.assert_allclose(await engine.run_async(ROWS[:1]), ROWS[:1] @ KERNEL, atol=1e-5)

    async def run() -> None:
        engine = EngineProcess(NETWORK, model, EngineLimits())
        try:
            await use(engine)
        finally:
            engine.close()
        assert children() == []

    asyncio.run(run())


def failing(model: Path, limits: EngineLimits) -> str:
    async def run() -> str:
        engine = EngineProcess(NETWORK, model, limits)
        try:
            with pytest.raises(EngineFailed) as caught:
                await engine.run_async(ROWS[:1])
            return str(caught.value)
        finally:
            engine.close()

    return asyncio.run(run())


def test_too_slow_it_is_ended(model: Path) -> None:
    words = failing(model, EngineLimits(seconds=1e-6))
    assert "did not run within 1e-06 seconds" in words
    assert children() == []


def test_what_does_not_load_says_so(tmp_path: Path) -> None:
    assert "TensorFlow cannot load it" in failing(tmp_path, EngineLimits())


def test_its_memory_is_bounded(model: Path) -> None:
    """The kernel refuses more, so it does not even begin: TensorFlow itself takes more."""
    words = failing(model, EngineLimits(megabytes=40))
    assert words.startswith("the engine's process did not start (")


def test_a_reply_is_no_longer_than_what_was_asked_for(model: Path) -> None:
    async def greet(most_bytes: int) -> bytes:
        talk = Conversation(ChildProcess(MODULE, {}), "a child")
        task = EngineTask("tensorflow", str(model), "no such output", EngineLimits())
        try:
            return await talk.begin(task.as_json(), most_bytes, DEADLINE_SECONDS)
        finally:
            talk.end()

    with pytest.raises(NotAReply, match="where 5 are allowed"):
        asyncio.run(greet(5))


def test_without_an_event_loop_it_has_one_of_its_own(model: Path) -> None:
    engine = EngineProcess(NETWORK, model, EngineLimits())
    try:
        np.testing.assert_allclose(engine.run(ROWS[:3]), ROWS[:3] @ KERNEL, atol=1e-5)
    finally:
        engine.close()
    assert children() == []
