"""A preprocessor is tried where and as it will serve, and must always give the same features."""

import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from policy_server.proving.assembly import Assembly
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits
from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx
from tests.support.ordinary_user import as_ordinary_user

ROOT = Path(__file__).parents[2]
SAME = "gives different features for the same observation: feature "


def preprocess(body: str, before: str = "") -> str:
    """A preprocessor with a body, after other code."""
    code = textwrap.dedent(before) + "\ndef preprocess(o):\n"
    return code + textwrap.indent(textwrap.dedent(body), "    ")


def rejected(candidate_of: CandidateOf, code: str, limits: BuildLimits | None = None) -> str:
    candidate = candidate_of(contract_of(), limits or BuildLimits(), preprocessor=code)
    return candidate.assemble().rejected or ""


FORGETFUL = {
    "counts": preprocess("global n; n += 1; return [*o['x'][:2], n]", "n = 0"),
    "counts in its observations' class": preprocess(
        "preprocess.n = getattr(preprocess, 'n', 0) + 1; return [*o['x'], preprocess.n]"
    ),
    "normalises as it goes": preprocess(
        """
        global n, mean
        n += 1
        mean += (o["x"][0] - mean) / n
        return [o["x"][0] - mean, *o["x"][1:]]
        """,
        "n, mean = 1000000, 0.0",
    ),
    "takes differences to the last": preprocess(
        "global last; moved = o['x'][0] - last; last = o['x'][0]; return [moved, *o['x'][1:]]",
        "last = 0.0",
    ),
    "draws": preprocess(
        "return [o['x'][0] + 1e-3 * random.random(), *o['x'][1:]]", "import random"
    ),
    "draws from a seed": preprocess(
        "return [*o['x'], drawn.random()]", "import random\ndrawn = random.Random(1)"
    ),
    "takes the time": preprocess("return [*o['x'], time.time() % 1000]", "import time"),
    "takes the weekday": preprocess(
        "return [*o['x'], datetime.now().weekday()]", "from datetime import datetime"
    ),
    "takes the hour": preprocess("return [*o['x'], time.localtime().tm_hour]", "import time"),
    "takes the date": preprocess(
        "return [*o['x'], date.today().day, int(strftime('%m'))]",
        "from datetime import date\nfrom time import strftime",
    ),
    "hashes text": preprocess("return [*o['x'], hash('text') % 1000]"),
    "walks through a set": preprocess(
        "return [*o['x'], sum(i * ord(c) for i, c in enumerate({*'abcdefghijkl'}))]"
    ),
    "asks for its process": preprocess("return [*o['x'], os.getpid()]", "import os"),
    "normalises over the batch": preprocess(
        "return o['x']",
        """
        import numpy as np
        def preprocess_batch(observations):
            rows = np.array([o["x"] for o in observations])
            return rows - rows.mean(axis=0)
        """,
    ),
    "numbers the batch": preprocess(
        "return [*o['x'], 0]",
        "def preprocess_batch(os):\n    return [[*o['x'], i] for i, o in enumerate(os)]",
    ),
    "does something else in batches": preprocess(
        "return [0.001 + v for v in o['x']]",
        "def preprocess_batch(os):\n    return [o['x'] for o in os]",
    ),
    "remembers in batches": preprocess(
        "return o['x']",
        """
        n = 0
        def preprocess_batch(os):
            global n
            n += 0.01
            return [[v + n for v in o["x"]] for o in os]
        """,
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", FORGETFUL.values(), ids=FORGETFUL)
def test_what_gives_other_features_another_time_is_refused(
    candidate_of: CandidateOf, code: str
) -> None:
    message = rejected(candidate_of, code)
    assert SAME in message
    assert "of random observation" in message
    assert "may not remember other observations, draw at random, look at the clock" in message


SOUND = {
    "remembers what it has worked out": preprocess(
        "key = tuple(o['x'])\nreturn seen.setdefault(key, [2 * v for v in o['x']])", "seen = {}"
    ),
    "measures how long it takes": preprocess(
        "start = time.time(); time.time() - start; datetime.now(); return o['x']",
        "import time\nfrom datetime import datetime",
    ),
    "converts times": preprocess(
        """
        then = datetime.fromtimestamp(abs(o["x"][0]) * 1e9, timezone.utc)
        assert isinstance(then, datetime) and isinstance(then + timedelta(1), datetime)
        return [then.hour, time.gmtime(0).tm_year, datetime(2020, 1, 2).weekday()]
        """,
        "import time\nfrom datetime import datetime, timedelta, timezone",
    ),
    "changes its observation": preprocess(
        "o['x'].append(1); o['x'][0] *= 2; o['y'] = 3; return o['x']"
    ),
    "changes its observations in batches": preprocess(
        "o['x'][0] *= 2; return o['x']",
        """
        def preprocess_batch(os):
            for o in os:
                o["x"][0] *= 2
            return [o["x"] for o in os]
        """,
    ),
    "multiplies in float32, in batches": preprocess(
        "return np.float32(o['x']) @ kernel",
        """
        import numpy as np
        kernel = np.random.default_rng(0).standard_normal((3, 500)).astype(np.float32)
        def preprocess_batch(os):
            return np.float32([o["x"] for o in os]) @ kernel
        """,
    ),
}


@pytest.mark.parametrize("code", SOUND.values(), ids=SOUND)
def test_what_gives_the_same_features_is_taken(candidate_of: CandidateOf, code: str) -> None:
    report = candidate_of(contract_of(), preprocessor=code).assemble()
    assert report.rejected is None
    assert detail(report, "repeatable") == (
        "200 observations have the same features together, alone, in other orders, in another "
        "process and later"
    )


def test_the_sentence_says_which_number_of_which_observation(candidate_of: CandidateOf) -> None:
    code = preprocess("return [0, 0, 2.5 if o['x'] == first else 1]", "first = None")
    code = code.replace("    return", "    global first\n    first = first or o['x']\n    return")
    message = rejected(candidate_of, code)
    assert f"{SAME}2 of random observation " in message
    assert "2.5" in message


def test_time_passes_during_a_build(candidate_of: CandidateOf) -> None:
    """What changes some seconds after the trial began is found at its end."""
    code = preprocess(
        "return [o['x'][0] + (time.monotonic() > loaded + 2), *o['x'][1:]]",
        "import time\nloaded = time.monotonic()",
    )
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 4), preprocessor=code)

    def slowly(step: str, _: float) -> None:
        time.sleep(3.0 if step == "deciding on random observations" else 0.0)

    parts = candidate.folder, candidate.contract, candidate.parts
    report = Assembly(*parts, BuildLimits(), slowly).build()
    assert "when it is asked again later" in (report.rejected or "")


LIMITS = {
    "a thread": (
        "_thread.start_new_thread(int, ()); return o['x']",
        "it may start neither threads nor processes where it serves",
    ),
    "a program": (
        "os.posix_spawn('/bin/true', ['true'], {}); return o['x']",
        "it may start neither threads nor processes where it serves",
    ),
    "a fork": (
        "os.fork() or os._exit(0); return o['x']",
        "it may start neither threads nor processes where it serves",
    ),
    "memory": ("bytearray(600_000_000); return o['x']", "it may take 512 MB of memory"),
    "memory for an array": (
        "import numpy; return [*o['x'], numpy.zeros(80_000_000)[0]]",
        "it may take 512 MB of memory",
    ),
    "the network": (
        "socket.socket().connect((b'127.0.0.1', 9)); return o['x']",
        "it has no network where it serves",
    ),
    "a name of the network": (
        "socket.getaddrinfo(b'example.org', 80); return o['x']",
        "it has no network where it serves",
    ),
    "files": (
        "kept = [open('/dev/null') for _ in range(100)]; return o['x']",
        "it may have 64 files open where it serves",
    ),
}
BUILD = """
import sys
from pathlib import Path
from policy_server.proving.build import build
from policy_server.proving.limits import BuildLimits
from policy_server.version.parts import Part
from tests.support.contracts import contract_of
folder = Path(sys.argv[1])
print(build(folder, contract_of(), [Part.PREPROCESSOR], BuildLimits(), lambda _: None).rejected)
"""


@pytest.fixture
def build_as_ordinary_user() -> Iterator[Callable[[str], str]]:
    """Builds a preprocessor where limits hold; gives why it was rejected, or `None`."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "preprocessor"
        folder.mkdir()
        for each in (Path(base), folder):
            each.chmod(0o755)

        def build(code: str) -> str:
            (folder / "preprocessor.py").write_text(code)
            command = as_ordinary_user(sys.executable, "-c", BUILD, base)
            ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            return ran.stdout.strip()

        yield build


@pytest.mark.parametrize("when", ["loaded", "asked"])
@pytest.mark.parametrize(("body", "told"), LIMITS.values(), ids=LIMITS)
def test_what_serving_forbids_is_refused_by_the_limit_that_it_met(
    build_as_ordinary_user: Callable[[str], str], body: str, told: str, when: str
) -> None:
    imports = "import _thread, os, socket"
    code = preprocess(body, imports)
    if when == "loaded":
        code = f"{code}\npreprocess({{'x': [1, 2, 3]}})"
    rejection = build_as_ordinary_user(code)
    assert told in rejection
    assert ("does not load" if when == "loaded" else "fails on a valid observation") in rejection


def test_what_the_limits_allow_is_taken_from_an_ordinary_user(
    build_as_ordinary_user: Callable[[str], str],
) -> None:
    code = preprocess("return np.array(o['x']) @ np.eye(3)", "import numpy as np")
    assert build_as_ordinary_user(code) == "None"


def test_the_limits_are_those_that_the_server_was_started_with(candidate_of: CandidateOf) -> None:
    code = preprocess("return o['x']", "room = bytearray(200_000_000)")
    small = BuildLimits(isolation=ProcessLimits(megabytes=150))
    assert "MemoryError" in rejected(candidate_of, code, small)
    assert "it may take 150 MB of memory" in rejected(candidate_of, code, small)
    assert rejected(candidate_of, code, BuildLimits()) == ""
    free = BuildLimits(isolation=ProcessLimits(megabytes=150, confined=False))
    assert rejected(candidate_of, code, free) == ""


def test_memory_of_a_batch_as_large_as_serving_makes_them_is_counted(
    candidate_of: CandidateOf,
) -> None:
    """Two hundred observations fit, a thousand do not: then each is asked for by itself."""
    batch = """
        def preprocess_batch(os):
            room = bytearray(500_000 * len(os))
            return [[v + 1 for v in o["x"]] for o in os]
    """
    message = rejected(candidate_of, preprocess("return o['x']", textwrap.dedent(batch)))
    assert "in a batch as large as serving makes them" in message


def test_a_slow_preprocessor_is_tried_on_fewer_observations(candidate_of: CandidateOf) -> None:
    code = preprocess("time.sleep(0.06); return o['x']", "import time")
    report = candidate_of(contract_of(), preprocessor=code).assemble()
    assert report.rejected is None
    assert 20 <= int(detail(report, "repeatable").split()[0]) <= 50


def test_observations_that_take_most_of_a_batchs_time_go_alone(
    candidate_of: CandidateOf,
) -> None:
    """Of 0.3 seconds a fifth is planned with, and each takes 0.06."""
    code = preprocess("time.sleep(0.06); return o['x']", "import time")
    limits = BuildLimits(preprocessor_seconds=60.0, isolation=ProcessLimits(seconds=0.3))
    assert rejected(candidate_of, code, limits) == ""


def test_one_that_takes_longer_than_serving_waits_is_refused(candidate_of: CandidateOf) -> None:
    code = preprocess("time.sleep(1.5); return o['x']", "import time")
    message = rejected(candidate_of, code, BuildLimits(isolation=ProcessLimits(seconds=1.0)))
    assert "preprocess did not return within 1 seconds" in message


def test_nothing_that_it_started_outlives_a_build_that_is_stopped(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    code = preprocess(
        "time.sleep(1000)",
        f"""
        import os, time
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            time.sleep(1000)
        open({str(note)!r}, "w").write(str(child))
        """,
    )
    limits = BuildLimits(preprocessor_seconds=2.0)
    candidate = candidate_of(contract_of(), limits, preprocessor=code)
    assert "neither threads nor processes" in (candidate.build().rejected or "")
    candidate.limits = replace(limits, isolation=ProcessLimits(confined=False))
    with pytest.raises(Exception, match="did not end within 2 seconds"):
        candidate.build()
    deadline = time.monotonic() + 10
    stat = Path(f"/proc/{note.read_text()}/stat")
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_golden_cases_are_replayed_under_the_same_limits(candidate_of: CandidateOf) -> None:
    code = preprocess(
        "assert max(o['x']) < 1e6, socket.create_connection(('127.0.0.1', 9)); return o['x']",
        "import socket",
    )
    golden = '{"observation": {"x": [1e7, 0, 0]}, "features": [1e7, 0, 0]}\n'
    candidate = candidate_of(
        contract_of(), model=linear_onnx(3, 4), preprocessor=code, golden=golden
    )
    message = candidate.assemble(Part.MODEL, Part.PREPROCESSOR, Part.GOLDEN).rejected or ""
    assert "The preprocessor fails on a golden case" in message
    assert "it has no network where it serves" in message
