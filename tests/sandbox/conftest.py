"""What the tests of preprocessors' processes share."""

import asyncio
import os
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.records import Record
from policy_server.errors import PreprocessorFailed
from policy_server.policy.features import Outcome
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import PreprocessorProcess

DECODER = Decoder(
    read_schema(
        "observations: {x: {type: float}, y: {type: float, required: false}, "
        "note: {type: str, enum: [plain, 'größe'], default: plain, required: false}}"
    )
)
LIMITS = ProcessLimits(megabytes=256, files=32, seconds=20.0)
QUICK = ProcessLimits(megabytes=256, files=32, seconds=0.5)
PATIENCE_SECONDS = 30.0
SUM = "def preprocess(observation):\n    return [observation['x'], len(observation)]\n"
MAGIC = 666.0

Make = Callable[..., PreprocessorProcess]


def records(*numbers: float) -> list[Record]:
    return [DECODER.convert({"x": float(number)}) for number in numbers]


@pytest.fixture
def process_of(tmp_path: Path) -> Iterator[Make]:
    """Makes processes that run some code; afterwards none of their children are left."""
    made: list[PreprocessorProcess] = []

    def make(
        code: str, limits: ProcessLimits = LIMITS, **more: float | bool | None
    ) -> PreprocessorProcess:
        path = tmp_path / f"preprocessor_{len(made)}.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        made.append(PreprocessorProcess(path, limits, **more))  # type: ignore[arg-type]
        return made[-1]

    before = children(), descriptors()
    yield make
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (children(), descriptors()) != before:
        assert time.monotonic() < deadline, (children(), descriptors(), before)
        time.sleep(0.02)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def run(process: PreprocessorProcess, *batches: list[Record]) -> list[Outcome | PreprocessorFailed]:
    """What comes of batches, one after the other; then the process is closed."""

    async def ask() -> list[Outcome | PreprocessorFailed]:
        answers: list[Outcome | PreprocessorFailed] = []
        for batch in batches:
            try:
                answers.append(await process.run(batch))
            except PreprocessorFailed as error:
                answers.append(error)
        process.close()
        await asyncio.sleep(0)  # transports close in the next turn
        return answers

    return asyncio.run(ask())


def rows(answer: Outcome | PreprocessorFailed) -> list[list[float]]:
    assert isinstance(answer, Outcome), answer.cause
    return [list(map(float, row)) for row in answer.features]
