"""The preprocessor's process, whatever the code in it does."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable
from pathlib import Path

import numpy as np
import pytest

from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome
from policy_server.policy.preprocessor import UploadedPreprocessor
from tests.sandbox.conftest import (
    DECODER,
    MAGIC,
    PATIENCE_SECONDS,
    QUICK,
    SUM,
    Make,
    children,
    records,
    rows,
    run,
)
from tests.support.server import ROOT


def test_features_are_those_of_the_same_code_in_this_process(
    process_of: Make, tmp_path: Path
) -> None:
    code = """
        def preprocess(observation):
            return [observation["x"], observation.get("y", -1), observation["note"] == "größe"]
    """
    process = process_of(code)
    here = UploadedPreprocessor(tmp_path / "preprocessor_0.py", DECODER.to_dict)
    observations = [
        *({"x": 0.1}, {"x": -1e38, "y": 1e-30}, {"x": 5e-324, "note": "größe"}, {"x": 1e300}),
    ]
    batch = [DECODER.convert(observation) for observation in observations]
    (there,) = run(process, batch)
    assert isinstance(there, Outcome)
    expected = here.features(batch)
    assert there.features.dtype == np.float32
    np.testing.assert_array_equal(there.features, expected.features)
    assert set(there.too_large) == set(expected.too_large) == {3}


def test_an_observation_that_fails_fails_alone(process_of: Make) -> None:
    code = """
        def preprocess(observation):
            if observation["x"] == 2:
                raise ValueError("no two")
            if observation["x"] == 3:
                raise SystemExit(1)
            return [1 / observation["x"]]
    """
    answer, after = run(process_of(code), records(1, 2, 4, 0, 3), records(8))
    assert rows(answer) == [[1.0], [0.0], [0.25], [0.0], [0.0]]
    assert isinstance(answer, Outcome)
    assert answer.failures.keys() == {1, 3, 4}
    assert answer.failures[1] == "ValueError: no two (preprocessor.py, line 4)"
    assert rows(after) == [[0.125]]


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("time.sleep(1e6)", "did not return within 0.5 seconds"),
        ("while True: pass", "did not return within 0.5 seconds"),
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("ctypes.string_at(0)", "signal 11"),
        ("os.closerange(3, 1000); time.sleep(1e6)", "ended"),
    ],
)
def test_what_ends_the_process_costs_its_batch_alone(
    process_of: Make, deed: str, cause: str
) -> None:
    code = f"""
        import ctypes, os, signal, time

        def preprocess(observation):
            if observation["x"] == {MAGIC}:
                {deed}
            return [observation["x"], os.getpid()]
    """
    before, during, after, last = run(
        process_of(code, QUICK), records(1, 2), records(3, MAGIC), records(4), records(5)
    )
    assert isinstance(during, PreprocessorFailed)
    assert cause in during.cause
    assert [row[0] for row in rows(before)] == [1.0, 2.0]
    assert [rows(after)[0][0], rows(last)[0][0]] == [4.0, 5.0]
    assert rows(after)[0][1] == rows(last)[0][1] != rows(before)[0][1]


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("bytearray(2_000_000_000)", "MemoryError"),
        ("[open('/dev/null') for _ in range(100)]", "Too many open files"),
        ("open('/proc/1/environ').read()[10**9]", "Error"),
    ],
)
def test_what_it_may_not_take_fails_there(process_of: Make, deed: str, cause: str) -> None:
    code = f"""
        import os

        def preprocess(observation):
            if observation["x"] == {MAGIC}:
                {deed}
            return [observation["x"]]
    """
    answer, after = run(process_of(code), records(1, MAGIC), records(4))
    if isinstance(answer, Outcome):
        assert cause in answer.failures[1]
        assert answer.failures.keys() == {1}
    assert rows(after) == [[4.0]]


def test_a_second_process_that_answers_too_confuses_nobody(process_of: Make) -> None:
    code = f"""
        import os

        def preprocess(observation):
            if observation["x"] == {MAGIC}:
                os.fork()  # as root no limit holds
            return [observation["x"]]
    """
    batches = [records(1, MAGIC), *(records(*range(10, 10 + size)) for size in (1, 2, 3, 3, 1))]
    for batch, answer in zip(batches, run(process_of(code), *batches), strict=True):
        if isinstance(answer, Outcome) and not answer.failures:
            expected = [[DECODER.to_dict(record)["x"]] for record in batch]
            assert rows(answer) == expected
        elif isinstance(answer, PreprocessorFailed):
            assert answer.cause


def test_it_reaches_no_network(process_of: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        code = f"""
            import socket

            def preprocess(observation):
                socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}), 5)
                return [1]
        """
        (answer,) = run(process_of(code), records(1))
        assert isinstance(answer, Outcome)
        assert "Network is unreachable" in answer.failures[0]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_it_has_none_of_the_servers_environment(tmp_path: Path) -> None:
    code = "import os\ndef preprocess(observation):\n    raise ValueError(sorted(os.environ))\n"
    (tmp_path / "preprocessor.py").write_text(code)
    done = run_parent(
        tmp_path, "    outcome = await process.run([{}])\n    print(outcome.failures[0])\n"
    )
    printed = done.communicate(timeout=PATIENCE_SECONDS)[0].decode()
    assert "'PATH'" in printed
    for secret in ("POLICY_SERVER_PASSWORD", "SECRET_OF_TESTS", "PYTHONSTARTUP"):
        assert secret not in printed


def test_it_runs_in_one_folder_wherever_its_parent_was_started(
    process_of: Make, tmp_path: Path
) -> None:
    process = process_of("import os\ndef preprocess(o):\n    raise ValueError(os.getcwd())\n")
    with contextlib.chdir(tmp_path):
        (answer,) = run(process, records(1))
    assert isinstance(answer, Outcome)
    assert f"ValueError: {ROOT} " in answer.failures[0]


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    (tmp_path / "preprocessor.py").write_text(SUM)
    steps = "    await process.start()\n    print('up', flush=True)\n    await asyncio.sleep(1e6)\n"
    parent = run_parent(tmp_path, steps)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    (child,) = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.kill()
    parent.communicate(timeout=PATIENCE_SECONDS)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run_parent(folder: Path, steps: str) -> subprocess.Popen[bytes]:
    """Start a Python process that has secrets and does something with `process`."""
    script = (
        "import asyncio, pathlib\n"
        "from policy_server.sandbox.preprocessor_process import PreprocessorProcess\n"
        "from policy_server.sandbox.limits import ProcessLimits\n"
        "async def main():\n"
        f"    path = pathlib.Path({str(folder / 'preprocessor.py')!r})\n"
        f"    process = PreprocessorProcess(path, ProcessLimits())\n{steps}"
        "    process.close()\n"
        "asyncio.run(main())\n"
    )
    secrets = {"POLICY_SERVER_PASSWORD": "x", "SECRET_OF_TESTS": "x", "PYTHONSTARTUP": "/x"}
    return subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **secrets},
        stdout=subprocess.PIPE,
    )


def alive(pid: str) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


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


def test_a_cancelled_batch_is_not_taken_for_the_next(process_of: Make) -> None:
    code = """
        import time

        def preprocess(observation):
            time.sleep(observation["x"] == 1)
            return [observation["x"]]
    """
    process = process_of(code)

    async def cancel() -> list[list[float]]:
        await process.start()
        first = asyncio.create_task(process.run(records(1)))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()
        second = rows(await process.run(records(2)))
        process.close()
        await asyncio.sleep(0)
        return second

    assert asyncio.run(cancel()) == [[2.0]]


def test_the_event_loop_goes_on_meanwhile(process_of: Make) -> None:
    code = "import time\ndef preprocess(observation):\n    time.sleep(0.5)\n    return [1]\n"
    process = process_of(code)

    async def count(work: Awaitable[Outcome]) -> int:
        turns, task = 0, asyncio.ensure_future(work)
        while not task.done():
            turns += 1
            await asyncio.sleep(0.01)
        process.close()
        await asyncio.sleep(0)
        return turns

    assert asyncio.run(count(process.run(records(1)))) > 10


def test_the_group_is_ended_with_it(process_of: Make) -> None:
    process = process_of("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SUM)

    async def close() -> set[str]:
        before = children()
        await process.start()
        started = children() - before
        process.close()
        await asyncio.sleep(0)
        return started

    (pid,) = asyncio.run(close())
    assert not alive(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), signal.SIGCONT)
