"""Batches of observations in the preprocessor's process."""

import asyncio

import numpy as np
import pytest

from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome
from tests.sandbox.conftest import (
    QUICK,
    SUM,
    Make,
    records,
    rows,
    run,
)


def test_what_it_prints_does_not_disturb_the_protocol(process_of: Make) -> None:
    code = """
        import os, sys
        print("loaded")

        def preprocess(observation):
            print("x" * 100_000)
            print("y", file=sys.stderr)
            os.write(1, b"raw")
            return [observation["x"]]
    """
    first, second = run(process_of(code), records(1, 2), records(3))
    assert (rows(first), rows(second)) == ([[1.0], [2.0]], [[3.0]])


def test_preprocess_batch_is_used(process_of: Make) -> None:
    code = """
        def preprocess(observation):
            return [observation["x"], 0]

        def preprocess_batch(observations):
            if any(observation["x"] == 3 for observation in observations):
                raise ValueError("no three")
            if any(observation["x"] == 4 for observation in observations):
                return [[1, 1]]
            return [[observation["x"], 7] for observation in observations]
    """
    used, raised, wrong = run(process_of(code), records(1, 2), records(1, 3), records(1, 4))
    assert rows(used) == [[1.0, 7.0], [2.0, 7.0]]
    assert rows(raised) == [[1.0, 0.0], [3.0, 0.0]]
    assert rows(wrong) == [[1.0, 0.0], [4.0, 0.0]]


def test_large_batches_pass_whole(process_of: Make) -> None:
    code = "def preprocess(observation):\n    return [observation['x']] * 300\n"
    numbers = list(range(3000))
    (answer,) = run(process_of(code), records(*numbers))
    assert isinstance(answer, Outcome)
    np.testing.assert_array_equal(answer.features, np.repeat([numbers], 300, axis=0).T)


def test_what_takes_longer_than_a_batch_may_goes_in_several(process_of: Make) -> None:
    code = """
        import time

        def preprocess(observation):
            time.sleep(0.02)
            return [observation["x"]]
    """
    numbers = list(map(float, range(60)))  # 1.2 seconds, where 0.5 are allowed
    unknown, known = run(process_of(code, QUICK), records(*numbers), records(*numbers))
    (measured,) = run(process_of(code, QUICK, each=0.02), records(*numbers))
    for answer in (unknown, known, measured):
        assert rows(answer) == [[number] for number in numbers]


def test_failures_of_several_batches_are_told_by_their_rows(process_of: Make) -> None:
    code = """
        def preprocess(observation):
            if observation["x"] in (0, 7, 63):
                raise ValueError("not this")
            if observation["x"] == 40:
                return [1e300]
            return [observation["x"]] * (2 if observation["x"] == 50 else 1)
    """
    (answer,) = run(process_of(code), records(*range(70)))
    assert isinstance(answer, Outcome)
    assert set(answer.failures) == {0, 7, 50, 63}
    assert "returned 1 numbers for one observation and 2 for another" in answer.failures[50]
    assert set(answer.too_large) == {40}
    assert [row for row in range(70) if answer.features[row, 0] != row] == [7, 40, 50, 63]


def test_batches_that_all_fail_are_told_whole(process_of: Make) -> None:
    (answer,) = run(process_of("def preprocess(o):\n    1 / 0\n"), records(*range(9)))
    assert isinstance(answer, Outcome)
    assert set(answer.failures) == set(range(9))


def test_no_observations_have_no_features(process_of: Make) -> None:
    (answer,) = run(process_of(SUM), [])
    assert isinstance(answer, Outcome)
    assert len(answer.features) == 0


@pytest.mark.parametrize(
    "code", ["1 / 0", "", "def preprocess(:", "import os; os._exit(5)", "exit()", "preprocess = 3"]
)
def test_a_file_that_does_not_load_is_refused(process_of: Make, code: str) -> None:
    process = process_of(code)

    async def start() -> None:
        with pytest.raises(UploadRejected):
            await process.start()
        with pytest.raises(PreprocessorFailed):
            await process.run(records(1))
        process.close()
        await asyncio.sleep(0)

    asyncio.run(start())
