"""CONTRIBUTING's recipe "an engine": two lines in registries, and its models are served."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import special

from policy_server.errors import DeadlineExceeded, NoActivePolicy, PolicyServerError
from policy_server.policy.answers import Answer
from policy_server.serving.deciding import Decider
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.store.store import Store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_description
from tests.serving.conftest import CONTRACT, make_version
from tests.support.tiny_engine import FILE, registered, tiny_model

KERNEL = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
X = [0.5, -1.0, 2.0]
CALLERS = 50


@pytest.fixture
def tiny() -> Iterator[None]:
    with registered():
        yield


def probabilities(answer: Answer) -> list[float]:
    found: list[float] = answer["heads"][0]["probabilities"]
    return found


def ask(store: Store, name: str, xs: list[list[float]], seconds: float | None = None) -> list[Any]:
    """What many callers at once get of a version, whose engine is awaited."""

    async def decide() -> list[Any]:
        version = await load_version(store, name, CONTRACT, ServingLimits())
        decider: Decider = version.decider
        calls = [
            decider.decide([decider.policy.decoder.convert({"x": x})], "describe", None, seconds)
            for x in xs
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        version.close()
        await asyncio.sleep(0.05)  # it ends once nothing is under way
        return answers

    return asyncio.run(decide())


def test_its_model_is_read_proven_described_and_served(tiny: None, store: Store) -> None:
    name = make_version(store, model=tiny_model(KERNEL))
    model = store.folder(name) / Part.MODEL
    assert read_description(model).engine == "tiny"
    assert (model / FILE).is_file()
    assert not (model / "network.onnx").exists()
    xs = np.random.default_rng(2).uniform(-2, 2, (CALLERS, 3)).astype(np.float32)
    answers = ask(store, name, xs.tolist())
    found = [probabilities(answer) for (answer,) in answers]
    np.testing.assert_allclose(found, special.softmax(xs @ KERNEL, axis=1), atol=1e-5)


def test_a_damaged_one_is_told(tiny: None, store: Store) -> None:
    name = make_version(store, model=tiny_model(KERNEL))
    file = store.folder(name) / Part.MODEL / FILE
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(NoActivePolicy, match=r"network\.tiny"):
        ask(store, name, [X])


def test_where_it_is_not_registered_its_versions_say_so(store: Store) -> None:
    with registered():
        name = make_version(store, model=tiny_model(KERNEL))
    with pytest.raises(PolicyServerError, match="there is no engine `tiny` here"):
        ask(store, name, [X])


def test_who_waits_longer_than_they_said_is_told_so(tiny: None, store: Store) -> None:
    name = make_version(store, model=tiny_model(KERNEL))
    (answer,) = ask(store, name, [X], seconds=0.001)
    assert isinstance(answer, DeadlineExceeded)
