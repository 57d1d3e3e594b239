"""The build process: what uploaded code does there stays there, and ends in time."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.proving.build import build
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport, Check
from policy_server.sandbox.descendants import family
from policy_server.sandbox.limits import ProcessLimits
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx
from tests.support.server import ROOT

SOUND = "def preprocess(observation):\n    return observation['x']\n"
SHORT = BuildLimits(preprocessor_seconds=2.0)
FREE = BuildLimits(isolation=ProcessLimits(confined=False))
"""As a build is where the operator wants uploaded code to run in the workers themselves."""


def code(body: str) -> str:
    """A preprocessor that does something before it answers."""
    return (
        "import ctypes, os, signal, sys, time\n"
        "def preprocess(observation):\n"
        f"    {body}\n"
        "    return observation['x']\n"
    )


def rejection(candidate: Candidate) -> str:
    with pytest.raises(UploadRejected) as caught:
        candidate.build()
    return str(caught.value)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


def test_its_process_imports_what_it_needs_only() -> None:
    schema = (ROOT / "examples/lpoc/schema.yaml").read_text(encoding="utf-8")
    code = (
        "import sys, policy_server.proving.child, policy_server.sandbox.preprocessor_child\n"
        "from policy_server.contract.reading import read_schema\n"
        "read_schema(sys.stdin.read())\n"
        "print(*{name.split('.')[0] for name in sys.modules})\n"
        "from policy_server.policy.saved_model import import_tensorflow\n"
        "tensorflow = import_tensorflow()\n"
        "print('keras' in sys.modules, tensorflow.keras.layers.Dense.__module__.split('.')[0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=schema, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    imported, with_tensorflow = ran.stdout.splitlines()
    heavy = {"connexion", "jsonschema", "requests", "tensorflow", "onnx"}
    assert heavy & set(imported.split()) == set()
    # Uploaded code that uses Keras finds it all the same.
    assert with_tensorflow == "False keras"


def test_progress_is_told_and_the_report_comes_back(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(), preprocessor=SOUND)
    report = candidate.build()
    assert candidate.steps == [
        "drawing random valid observations",
        "running the preprocessor on random observations",
        "running the preprocessor on observations one by one",
        "running the preprocessor on as many observations as it will serve at once",
        "running the preprocessor in a new process",
        "running the preprocessor again",
    ]
    assert report == candidate.assemble()
    assert report.missing == [Part.MODEL]
    assert [check.passed for check in report.checks] == [False, True, True]


def test_a_report_survives_json() -> None:
    report = BuildReport([Check("a", True, "ä\n"), Check("b", False, "")], [Part.MODEL], "no")
    assert BuildReport.from_dict(report.as_dict()) == report
    assert BuildReport.from_dict(BuildReport().as_dict()).ready


def test_a_preprocessor_that_never_returns_is_stopped(candidate_of: CandidateOf) -> None:
    started = time.monotonic()
    message = rejection(candidate_of(contract_of(), SHORT, preprocessor=code("while True: pass")))
    assert message == (
        "The build was stopped: running the preprocessor on random observations did not end "
        "within 2 seconds."
    )
    assert time.monotonic() - started < 10


def test_a_preprocessor_that_never_loads_is_stopped(candidate_of: CandidateOf) -> None:
    message = rejection(candidate_of(contract_of(), SHORT, preprocessor="while True: pass\n"))
    assert "did not end within 2 seconds" in message


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("ctypes.string_at(0)", "signal 11"),
        ("os.closerange(3, 200); os._exit(5)", "exit code 5"),
        ("os.closerange(3, 200); time.sleep(1000)", "it was stopped"),
    ],
)
def test_a_process_that_dies_is_told_by_its_end(
    candidate_of: CandidateOf, body: str, cause: str
) -> None:
    report = candidate_of(contract_of(), preprocessor=code(body)).build()
    assert (report.rejected or "").startswith(
        "The preprocessor fails on a valid observation: the preprocessor's process ended "
        f"({cause}): where it serves it may take 512 MB of memory"
    )


def test_nothing_that_a_preprocessor_writes_is_taken_for_a_report(
    candidate_of: CandidateOf,
) -> None:
    """Descriptor by descriptor, uploaded code finds the one that its features go to."""
    body = (
        "for fd in range(3, 256):\n"
        "        try: os.write(fd, b'{\"report\": {}}\\n' * 10)\n"
        "        except OSError: pass"
    )
    report = candidate_of(contract_of(), preprocessor=code(body)).build()
    assert "process answered something else" in (report.rejected or "")


def test_a_hundred_megabytes_of_output_are_no_harm(candidate_of: CandidateOf) -> None:
    body = "print('x' * 500_000); print('y' * 500, file=sys.stderr)"  # for each of 200 observations
    candidate = candidate_of(contract_of(), preprocessor=code(body))
    report = candidate.build()
    assert report.rejected is None
    files = [path for path in candidate.folder.rglob("*") if path.is_file()]
    assert [path.name for path in files] == ["preprocessor.py"]


def test_processes_left_behind_are_killed(candidate_of: CandidateOf, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    body = (
        f"if not os.path.exists({str(note)!r}):\n"
        "        child = os.fork()\n"
        "        if not child:\n"
        "            signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "            time.sleep(1000)\n"
        f"        open({str(note)!r}, 'w').write(str(child))"
    )
    started = time.monotonic()
    report = candidate_of(contract_of(), FREE, preprocessor=code(body)).build()
    assert report.rejected is None
    assert time.monotonic() - started < 10
    assert gone(int(note.read_text()))


def test_a_stopped_build_leaves_no_process(candidate_of: CandidateOf) -> None:
    before = family(os.getpid())
    rejection(candidate_of(contract_of(), SHORT, preprocessor=code("time.sleep(1000)")))
    assert not [each for each in family(os.getpid()) - before if not gone(each)]


@pytest.mark.parametrize("disk_bytes", [1_000_000, 2_000_000], ids=["one file", "all files"])
def test_what_a_build_writes_to_the_disk_is_bounded(
    candidate_of: CandidateOf, disk_bytes: int
) -> None:
    """The file and what is served of it have 1.2 MB each."""
    contract, model = contract_of(550), linear_onnx(550, 550)
    assert candidate_of(contract, model=model).build().rejected is None
    message = rejection(candidate_of(contract, BuildLimits(disk_bytes=disk_bytes), model=model))
    assert re.search(r"took (more|\d MB) of disk, and \d MB are allowed", message), message


SECRETS = """
import os, sys
from policy_server.proving.build import build
from policy_server.proving.limits import BuildLimits
from policy_server.version.parts import Part
from pathlib import Path
from tests.support.contracts import contract_of
from tests.support.server import ROOT
folder = Path(sys.argv[1])
print(build(folder, contract_of(), [Part.PREPROCESSOR], BuildLimits(), lambda _: None).rejected)
"""


def test_the_environment_of_a_build_holds_no_secrets(
    candidate_of: CandidateOf,
) -> None:
    body = "assert 'PATH' in os.environ and 'hush' not in repr(os.environ), dict(os.environ)"
    candidate = candidate_of(contract_of(), preprocessor=code(body))
    secrets = {
        "POLICY_SERVER_PASSWORD": "hush-password",
        "POLICY_SERVER_API_KEYS": "hush-key",
        "AWS_SECRET_ACCESS_KEY": "hush-cloud",
    }
    ran = subprocess.run(
        [sys.executable, "-c", SECRETS, str(candidate.folder)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "None", ran.stderr


def test_nothing_is_left_open(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(), preprocessor=SOUND)
    candidate.build()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        build(candidate.folder, candidate.contract, [Part.PREPROCESSOR], SHORT, lambda _: None)
    assert candidate_of(contract_of(), preprocessor=code("os._exit(1)")).build().rejected
    assert len(list(Path("/proc/self/fd").iterdir())) == before
