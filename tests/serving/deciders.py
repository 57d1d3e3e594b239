"""Deciders of a policy whose answers a test can compute, and engines that do as they are told."""

import asyncio
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.contract.records import Record
from policy_server.errors import EngineFailed
from policy_server.policy.answers import Answer
from policy_server.policy.engines.engine import Floats
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import UploadedPreprocessor
from policy_server.policy.timing import Timing
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.deciding import Decider
from policy_server.serving.limits import ServingLimits

CONTRACT = Contract(read_schema("observations: {x: {type: float}, y: {type: float}}"))
CODE = """
    import os
    import time

    def preprocess(observation):
        if observation["x"] == 666:
            raise ValueError("no beast")
        if observation["x"] == 777:
            time.sleep(1e6)
        if observation["x"] == 444:
            os._exit(3)
        if observation["x"] == 555:
            time.sleep(0.015)
        return [observation["x"], observation["y"]]
"""
TOGETHER = Timing((1e-3, 1e-3, 1e-3), 1e-6)
ALONE = Timing((1e-5, 8e-5, 64e-5), 1e-6)
SLOW = Timing((0.3, 0.3, 0.3), 1e-6)
CALLERS = 300
SLOW_X, SLOW_SECONDS = 555.0, 0.015
Make = Callable[..., Decider]


class SoftmaxOfSums:
    """An engine whose logits are simple sums, and which may take its time.

    Attributes:
        batches: Rows of each run.
    """

    feature_width = 2

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []

    def run(self, features: Floats) -> Floats:
        self.batches.append(len(features))
        time.sleep(self.seconds)
        if (features[:, 0] == 888).any():
            raise EngineFailed("no such number")
        x, y = features[:, 0], features[:, 1]
        return np.stack([x, y, x + y], axis=1)


class ElsewhereSoftmax(SoftmaxOfSums):
    """The same, as if another machine ran it; in this process it cannot be run."""

    fault = None

    def run(self, features: Floats) -> Floats:
        raise AssertionError("it is awaited")

    async def run_async(self, features: Floats) -> Floats:
        await asyncio.sleep(self.seconds)
        return SoftmaxOfSums(0.0).run(features)

    def close(self) -> None:
        """Nothing is to be let go of."""


MODES = pytest.mark.parametrize("mode", ["direct", "batched", "isolated"])


def maker(folder: Path) -> Make:
    """Makes deciders: `mode` is direct, batched or isolated."""
    path = folder / "preprocessor.py"
    path.write_text(textwrap.dedent(CODE))

    def make(
        mode: str,
        engine: SoftmaxOfSums | None = None,
        timing: Timing | None = None,
        spare: bool = True,
        most_waiting: int = 20_000,
    ) -> Decider:
        isolated = mode == "isolated"
        here = UploadedPreprocessor(path, CONTRACT.decoder.to_dict)
        network = Network("onnxruntime", 2, "categorical", (3,))
        policy = Policy(
            CONTRACT, network, engine or SoftmaxOfSums(), None if isolated else here, OutputMapper()
        )
        timing = timing or (ALONE if mode == "direct" else TOGETHER)
        limits, each = ProcessLimits(seconds=1.0), timing.preprocessor_seconds
        process = None
        if isolated:
            process = PreprocessorProcess(path, limits, each=each, spare=spare)
        return Decider(policy, process, timing, ServingLimits(waiting_decisions=most_waiting))

    return make


def record(x: float, y: float = 0.0) -> Record:
    return CONTRACT.decoder.convert({"x": x, "y": y})


def expected(x: float, y: float) -> list[float]:
    logits = np.array([x, y, x + y])
    weights = np.exp(logits - logits.max())
    return [float(weight) for weight in weights / weights.sum()]


def probabilities(answer: Answer) -> list[float]:
    found: list[float] = answer["heads"][0]["probabilities"]
    return found


async def closed(decider: Decider) -> None:
    decider.close()
    await asyncio.sleep(0.01)  # transports close in a later turn
