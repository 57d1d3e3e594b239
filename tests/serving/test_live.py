"""Every worker follows an activation within a second, and keeps what decides if it is damaged."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import special

from examples.quiet_tensorflow import tf
from policy_server.contract.schema import Observation
from policy_server.errors import NoActivePolicy
from policy_server.sandbox.limits import ProcessLimits
from policy_server.serving.follower import LOOK_SECONDS, following
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import RETRY_SECONDS, LivePolicy
from policy_server.serving.loading import load_version
from policy_server.store.store import Store
from tests.serving.conftest import CONTRACT, make_version
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.policies import LoopedLive
from tests.support.saved_models import categorical, save, weights

ROOT = Path(__file__).parents[2]
FEATURES = [0.5, -1.0, 2.0]
OBSERVATION: Observation = {"x": [*FEATURES]}

FOLLOWER = """
import asyncio, sys, time
from pathlib import Path
from policy_server.errors import NoActivePolicy
from policy_server.serving.follower import following
from policy_server.serving.limits import ServingLimits
from policy_server.serving.live import LivePolicy
from policy_server.store.registry import open_store
from tests.support.contracts import contract_of


async def main():
    live = LivePolicy(open_store(Path(sys.argv[1])), contract_of(), ServingLimits())
    await live.start()
    last = None
    async with following(live.refresh):
        while True:
            name = live.current().name
            if name != last:
                decider = live.current().decider
                record = decider.policy.decoder.convert({"x": [0.5, -1.0, 2.0]})
                (answer,) = await decider.decide([record], "draw")
                print(name, time.time(), flush=True)
                last = name
            await asyncio.sleep(0.01)


asyncio.run(main())
"""


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return true()


def reason(live: LoopedLive) -> str:
    with pytest.raises(NoActivePolicy) as caught:
        live.current()
    return str(caught.value)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def manifest_of_another_contract(folder: Path) -> None:
    fields = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**fields, "contract": "another"}))


def describe(folder: Path, sizes: list[object]) -> None:
    file = folder / "model" / "network.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps({**fields, "sizes": sizes}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "network cut": lambda folder: cut(folder / "model" / "network.onnx"),
    "network gone": lambda folder: (folder / "model" / "network.onnx").unlink(),
    "manifest gone": lambda folder: (folder / "manifest.json").unlink(),
    "manifest cut": lambda folder: (folder / "manifest.json").write_text("{"),
    "description gone": lambda folder: (folder / "model" / "network.json").unlink(),
    "description of other sizes": lambda folder: describe(folder, [2, 5]),
    "description of nonsense": lambda folder: describe(folder, ["four"]),
    "another contract": manifest_of_another_contract,
    "preprocessor broken": lambda folder: (folder / "preprocessor" / "preprocessor.py").write_text(
        "1 / 0"
    ),
    "mapper broken": lambda folder: (folder / "output_mapper" / "output_mapper.yaml").write_text(
        "["
    ),
    "all gone": shutil.rmtree,
}
PARTS: dict[str, Any] = {
    "preprocessor": "def preprocess(observation):\n    return observation['x']\n",
    "output_mapper": "{0: a, 1: b, 2: c, 3: d}",
}


@pytest.fixture(params=[None, ProcessLimits()], ids=["here", "isolated"])
def live(store: Store, request: pytest.FixtureRequest) -> Iterator[LoopedLive]:
    """A worker's live policy; uploaded preprocessors run beside it, or in their own process."""
    live = LoopedLive(store, CONTRACT, request.param)
    yield live
    live.close()


def test_without_a_version_the_reason_is_told(live: LoopedLive) -> None:
    live.start()
    assert "upload a model" in reason(live)


def test_the_loaded_policy_is_the_network_that_was_uploaded(store: Store, live: LoopedLive) -> None:
    name = make_version(store)
    live.start()
    assert live.current().name == name
    answer = live.decide(OBSERVATION, "describe")
    expected = special.softmax(np.array(FEATURES) @ linear_kernel(3, 4))
    np.testing.assert_allclose(answer["heads"][0]["probabilities"], expected, atol=1e-6)


def test_four_threads_follow_within_a_second(store: Store) -> None:
    followers = [LoopedLive(store, CONTRACT) for _ in range(4)]
    try:
        for follower in followers:
            follower.start()
        for seed in range(3):
            name = make_version(store, model=linear_onnx(3, 4, seed))
            for follower in followers:
                assert within(1.0, lambda: loaded(follower) == name)  # noqa: B023 - called at once
    finally:
        for follower in followers:
            follower.close()


def loaded(live: LivePolicy | LoopedLive) -> str | None:
    try:
        return live.current().name
    except NoActivePolicy:
        return None


def test_four_processes_follow_within_a_second(store: Store, tmp_path: Path) -> None:
    first = make_version(store)
    followers = [
        subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, str(tmp_path / "base")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    try:
        for follower in followers:
            assert follower.stdout is not None
            assert follower.stdout.readline().split()[0] == first
        second = make_version(store, model=linear_onnx(3, 4, 1), activate=False)
        store.activate(second)
        activated = time.time()
        for follower in followers:
            assert follower.stdout is not None
            name, moment = follower.stdout.readline().split()
            assert name == second
            assert float(moment) - activated < 1.0
    finally:
        for follower in followers:
            follower.kill()
            follower.communicate()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_version_never_replaces_the_one_that_decides(
    store: Store, live: LoopedLive, damage: str
) -> None:
    sound = make_version(store)
    live.start()
    damaged = make_version(store, activate=False, model=linear_onnx(3, 4, 1), **PARTS)
    pointer = store.folder(damaged).parents[1] / "active"
    DAMAGES[damage](store.folder(damaged))
    pointer.write_text(f"{damaged}\n")
    live.refresh()
    time.sleep(0.5)
    assert live.current().name == sound
    assert live.decide(OBSERVATION, "draw")["probability"] > 0
    later = make_version(store, model=linear_onnx(3, 4, 2))
    assert within(1.0, lambda: live.current().name == later)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_server_that_starts_on_a_damaged_version_says_so_and_waits(
    store: Store, live: LoopedLive, damage: str
) -> None:
    damaged = make_version(store, **PARTS)
    DAMAGES[damage](store.folder(damaged))
    live.start()
    assert reason(live).startswith("No policy can decide: ")
    assert "upload a model" not in reason(live)
    sound = make_version(store)
    assert within(1.0, lambda: loaded(live) == sound)


def test_another_contract_is_told_with_its_remedy(store: Store, live: LoopedLive) -> None:
    make_version(store, contract_of(4), model=linear_onnx(4, 4))
    live.start()
    assert "another schema, TUPLE or DISCRETE_ACTIONS" in reason(live)
    assert "python generate.py publish" in reason(live)


def test_a_version_that_is_mended_is_loaded(store: Store, live: LoopedLive) -> None:
    name = make_version(store)
    network = store.folder(name) / "model" / "network.onnx"
    content = network.read_bytes()
    cut(network)
    live.start()
    assert "network.onnx" in reason(live)
    network.write_bytes(content)
    assert within(RETRY_SECONDS + 1.0, lambda: loaded(live) == name)


def test_what_was_refused_is_told_once_and_not_tried_at_every_look(
    store: Store, live: LoopedLive, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    needed = tmp_path / "needed"
    needed.touch()
    code = f"import os\nos.stat({str(needed)!r})\n"  # it may open none, and yet ask for it
    name = make_version(store, preprocessor=code + PARTS["preprocessor"])
    needed.unlink()
    live.start()
    started = time.monotonic()
    needed.touch()
    assert within(60, lambda: loaded(live) == name)
    assert time.monotonic() - started > RETRY_SECONDS - LOOK_SECONDS
    told = [record for record in caplog.records if "cannot be loaded" in record.message]
    assert len(told) == 1


def test_the_one_that_decides_is_not_loaded_again(store: Store, live: LoopedLive) -> None:
    make_version(store)
    live.start()
    before = live.current()
    time.sleep(0.5)
    live.refresh()
    assert live.current() is before


def test_a_store_that_vanishes_leaves_the_policy_in_memory(store: Store, live: LoopedLive) -> None:
    name = make_version(store)
    live.start()
    shutil.rmtree(store.folder(name).parents[1])
    time.sleep(0.5)
    assert live.decide(OBSERVATION, "draw")["probability"] > 0
    again = make_version(store, model=linear_onnx(3, 4, 7))
    assert within(1.0, lambda: live.current().name == again)


def test_zeros_need_not_be_an_observation(store: Store) -> None:
    """A network that divides by what no observation makes zero is loaded all the same."""
    code = "def preprocess(observation):\n    return [1 / (1 + abs(x)) for x in observation['x']]\n"
    model = reciprocal_onnx()
    name = make_version(store, model=model, preprocessor=code)
    assert asyncio.run(load_version(store, name, CONTRACT, ServingLimits())).name == name


def reciprocal_onnx() -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(linear_onnx(3, 4))
    model.graph.node.insert(0, onnx.helper.make_node("Reciprocal", ["obs"], ["inverse"]))
    model.graph.node[1].input[0] = "inverse"
    content: bytes = model.SerializeToString()
    return content


def test_what_onnx_cannot_say_tensorflow_really_serves(
    store: Store, live: LoopedLive, tmp_path: Path
) -> None:
    kernel = weights(4)
    model = save(
        tmp_path / "m", lambda x, w: categorical(tf.math.igamma(x**2, 1.0) @ w, (4,)), [kernel]
    )
    name = make_version(store, model=model)
    assert not (store.folder(name) / "model" / "network.onnx").exists()
    live.start()
    answer = live.decide(OBSERVATION, "describe")
    features = special.gammainc(np.square(FEATURES), 1.0)
    expected = special.softmax(features @ kernel.astype(np.float64))
    np.testing.assert_allclose(answer["heads"][0]["probabilities"], expected, atol=1e-5)


def test_stopping_ends_the_task_and_leaves_no_thread(store: Store) -> None:
    async def start_and_stop() -> None:
        tasks = asyncio.all_tasks()
        live = LivePolicy(store, CONTRACT, ServingLimits())
        await live.start()
        async with following(live.refresh):
            assert len(asyncio.all_tasks()) == len(tasks) + 1
        await live.stop()
        assert asyncio.all_tasks() == tasks
        make_version(store)
        await asyncio.sleep(0.5)
        assert loaded(live) is None

    before = threading.active_count()
    asyncio.run(start_and_stop())
    assert threading.active_count() == before


def test_a_look_that_fails_is_logged_and_followed_by_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        raise OSError("the disk is away")

    async def follow() -> None:
        async with following(look):
            while looks < 2:
                await asyncio.sleep(0.01)

    asyncio.run(follow())
    errors = [record.exc_info[1] for record in caplog.records if record.exc_info is not None]
    assert [str(error) for error in errors] == ["the disk is away"] * looks


def test_what_was_never_started_can_be_stopped(store: Store) -> None:
    asyncio.run(LivePolicy(store, CONTRACT, ServingLimits()).stop())
