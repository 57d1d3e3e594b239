"""Every engine under the same faults: killed, stopped, absent, lying.

Whatever happens to an engine, no decision is wrong, deadlines are kept, another version goes on, an
upload that needs the engine loses nothing, and once the engine is back it decides again, without a
restart of the server.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from scipy import special

from examples.quiet_tensorflow import tf
from policy_server.proving.built_model import RECORDED_ROWS
from tests.support.contracts import contract_of
from tests.support.counterparts import Counterpart
from tests.support.model_server import broken_program, lying_program, program
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.raw_server import http, raw_server
from tests.support.saved_models import RLLIB_INPUTS, categorical, save
from tests.support.server import Server, gunicorn, run_command
from tests.support.triton import triton, write_model

KERNEL, OTHER = linear_kernel(3, 4), linear_kernel(3, 4, seed=1)
XS = np.random.default_rng(2).uniform(0.5, 2, (4, 3)).astype(np.float32)
PATIENCE_SECONDS = 120.0
"""For what comes by itself, on a machine that is busy."""
REFERENCE = b"inference_server: triton\nmodel: walker\n"
"""What is uploaded where Triton has the model."""


@dataclass
class Subject:
    """A server whose active version has one engine, and which has a version of ONNX Runtime beside.

    Attributes:
        model: The upload that made the active version.
        expected: What it says of XS, float[B, 4].
        other: Name of the other version, of another network.
        pids: Of the processes that run the network.
        break_: Have the engine be gone for good; None where it cannot be.
        lie: Have something else answer in its place; None where nothing can.
        mend: Bring it back.
    """

    server: Server
    model: bytes
    expected: NDArray[np.float64]
    other: str
    active: str
    pids: Callable[[], list[int]]
    break_: Callable[[], None] | None = None
    lie: Callable[[], contextlib.AbstractContextManager[None]] | None = None
    mend: Callable[[], None] = field(default=lambda: None)

    def decides(self) -> bool:
        """The active version decides, and rightly; a wrong decision fails at once."""
        with contextlib.suppress(requests.ConnectionError):
            answers = [self.server.post("distribution", {"x": x}) for x in XS.tolist()]
            for answer, expected in zip(answers, self.expected, strict=True):
                if answer.ok:
                    assert answer.headers["X-Policy-Version"] == self.active
                    found = answer.json()["heads"][0]["probabilities"]
                    np.testing.assert_allclose(found, expected, atol=1e-4)
            return all(answer.ok for answer in answers)
        return False

    def other_decides(self) -> None:
        """The version beside goes on."""
        body = {"observations": [{"x": x} for x in XS.tolist()]}
        answer = self.server.post(f"versions/{self.other}/predict_batch?deterministic=true", body)
        assert answer.ok, answer.text
        found = [each["action"] for each in answer.json()["predictions"]]
        assert found == np.argmax(XS @ OTHER, axis=1).tolist()

    def readiness(self) -> requests.Response:
        return self.server.get("health/ready")

    def eventually(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.server.log.read_text()[-4_000:]
            time.sleep(0.05)

    def recovers(self) -> None:
        self.eventually(lambda: self.decides() and self.readiness().ok)


def make(server: Server, model: bytes) -> tuple[str, str]:
    """Upload a version of ONNX Runtime, and then the one that is looked at."""
    names = []
    for content in (linear_onnx(3, 4, seed=1), model):
        answer = server.upload("model", "model_file", content)
        assert answer.ok, answer.text
        names.append(answer.json()["version"])
    return names[0], names[1]


def processes(mark: str) -> list[int]:
    """Those whose command line has a text in it."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and mark.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def children(parent: int) -> list[int]:
    return [
        int(pid)
        for task in Path(f"/proc/{parent}/task").iterdir()
        for pid in (task / "children").read_text().split()
    ]


@contextlib.contextmanager
def onnxruntime(folder: Path, base: Path) -> Iterator[Subject]:
    with gunicorn(base) as server:
        model, expected = linear_onnx(3, 4), special.softmax(XS @ KERNEL, axis=1)
        other, active = make(server, model)
        yield Subject(server, model, expected, other, active, lambda: children(server.process.pid))


@contextlib.contextmanager
def tensorflow(folder: Path, base: Path) -> Iterator[Subject]:
    kernel = KERNEL.astype(np.float32)
    file = save(
        folder / "model.zip",
        lambda x, w: categorical(tf.math.igamma(x**2, 1.0) @ w, (4,)),
        [kernel],
    )
    model = file.read_bytes()
    expected = special.softmax(special.gammainc(XS.astype(float) ** 2, 1.0) @ KERNEL, axis=1)
    with gunicorn(base) as server:
        other, active = make(server, model)

        def pids() -> list[int]:
            (worker,) = children(server.process.pid)
            ours = set(children(worker))
            return [pid for pid in processes("policy_server.sandbox.engine_child") if pid in ours]

        yield Subject(server, model, expected, other, active, pids)


@contextlib.contextmanager
def tensorflow_serving(folder: Path, base: Path) -> Iterator[Subject]:
    file = save(
        folder / "model.zip",
        lambda x, w, **_: categorical(x @ w, (4,)),
        [KERNEL],
        inputs=RLLIB_INPUTS,
    )
    model, expected = file.read_bytes(), special.softmax(XS @ KERNEL, axis=1)
    settings: dict[str, Any] = {
        "POLICY_SERVER_ENGINE": "tensorflow_serving",
        "POLICY_SERVER_TENSORFLOW_MODEL_SERVER": str(program(folder)),
        "POLICY_SERVER_ENGINE_SECONDS": "2",
    }

    def pids() -> list[int]:
        return processes(f"--model_config_file={base}/")

    def kill() -> None:
        for pid in pids():
            os.kill(pid, signal.SIGKILL)

    def break_() -> None:
        broken_program(folder)
        kill()

    def mend() -> None:
        program(folder)
        kill()

    @contextlib.contextmanager
    def lie() -> Iterator[None]:
        lying_program(folder)
        kill()
        yield
        mend()

    with gunicorn(base, **settings) as server:
        other, active = make(server, model)
        yield Subject(server, model, expected, other, active, pids, break_, lie, mend)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while pids():  # it ends with the server
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextlib.contextmanager
def open_inference(folder: Path, base: Path) -> Iterator[Subject]:
    repository = folder / "models"
    write_model(repository, "walker", {"1": KERNEL})
    with triton(folder, repository) as started:
        settings: dict[str, Any] = {
            "POLICY_SERVER_INFERENCE_SERVERS": f"triton={started.url}",
            "POLICY_SERVER_ENGINE_SECONDS": "2",
        }

        def pids() -> list[int]:
            assert started.process is not None
            return [started.process.pid]

        with gunicorn(base, **settings) as server:
            expected = special.softmax(XS @ KERNEL, axis=1)
            other, active = make(server, REFERENCE)
            yield Subject(
                *(server, REFERENCE, expected, other, active, pids),
                break_=started.kill,
                lie=lambda: lying(started),
                mend=lambda: mended(started),
            )


def mended(started: Counterpart) -> None:
    started.kill()
    started.start()


@contextlib.contextmanager
def lying(started: Counterpart) -> Iterator[None]:
    """Something else answers where Triton did: rows of the right shape that mean nothing."""
    started.kill()
    rows = {"shape": [RECORDED_ROWS, 4], "data": [9.0, 1.0, 2.0, 3.0] * RECORDED_ROWS}
    body = json.dumps({"outputs": [{"name": "logits", "datatype": "FP32", **rows}]}).encode()
    with raw_server(lambda *_: [http(body)], started.port):
        yield
    started.start()


ENGINES = {
    "onnxruntime": onnxruntime,
    "tensorflow": tensorflow,
    "tensorflow_serving": tensorflow_serving,
    "open_inference": open_inference,
}
AWAY = ["tensorflow", "tensorflow_serving", "open_inference"]
"""Engines that run elsewhere: they may hang while the worker goes on."""
REMOTE = ["tensorflow_serving", "open_inference"]
"""Engines of which something else may take the place, or nothing."""


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Subject]]:
    """A server for each engine, started when it is first asked for."""
    started: dict[str, Subject] = {}
    prepared = tmp_path_factory.mktemp("prepared")
    (prepared / "schema.yaml").write_text(contract_of().schema.text)
    made = prepared / "instance"
    done = run_command("schema", prepared / "schema.yaml", "--noclients", base_path=made)
    assert done.returncode == 0, done.stderr
    with contextlib.ExitStack() as stack:

        def subject(engine: str) -> Subject:
            if engine not in started:
                folder = tmp_path_factory.mktemp(engine)
                base = Path(shutil.copytree(made, folder / "instance"))
                started[engine] = stack.enter_context(ENGINES[engine](folder, base))
            return started[engine]

        yield subject


Subjects = Callable[[str], Subject]


@pytest.mark.parametrize("engine", ENGINES)
def test_it_decides_as_the_network_does(subjects: Subjects, engine: str) -> None:
    subject = subjects(engine)
    assert subject.decides()
    subject.other_decides()
    listed = subject.server.get("versions").json()["versions"]
    (found,) = [each["engine"] for each in listed if each["version"] == subject.active]
    assert found == {"onnxruntime": "onnx"}.get(engine, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_after_it_was_killed_it_decides_again(subjects: Subjects, engine: str) -> None:
    subject = subjects(engine)
    master, killed = subject.server.process.pid, subject.pids()
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    if engine == "open_inference":  # which is started again by who runs it
        subject.mend()
    subject.recovers()
    assert subject.server.process.pid == master
    assert subject.server.process.poll() is None
    assert not set(killed) & set(subject.pids())
    subject.other_decides()


@pytest.mark.parametrize("engine", AWAY)
def test_while_it_hangs_deadlines_are_kept_and_others_go_on(
    subjects: Subjects, engine: str
) -> None:
    subject = subjects(engine)
    stopped = subject.pids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        answer = subject.server.post(
            "predict", {"x": XS[0].tolist()}, headers={"X-Request-Timeout": "0.3"}
        )
        assert answer.status_code in (504, 500), answer.text
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        subject.other_decides()
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    subject.recovers()


@pytest.mark.parametrize("engine", REMOTE)
def test_while_it_is_absent_readiness_says_so_and_nothing_is_lost(
    subjects: Subjects, engine: str
) -> None:
    subject = subjects(engine)
    assert subject.break_ is not None
    subject.break_()
    subject.eventually(lambda: subject.readiness().status_code == 503)  # though nobody asks
    detail = subject.readiness().json()["detail"]
    assert f"Version {subject.active} cannot decide at present" in detail
    assert "127.0.0.1" not in detail  # everybody may read it
    subject.other_decides()
    refused = subject.server.post("predict", {"x": XS[0].tolist()})
    assert (refused.status_code, refused.json()["title"]) == (503, "Engine unavailable")
    assert refused.headers["Retry-After"]
    refused = subject.server.upload("model", "model_file", subject.model + b"\n")
    assert refused.status_code == 422, refused.text
    versions = subject.server.get("versions").json()
    assert versions["active"] == subject.active
    subject.mend()
    subject.recovers()


@pytest.mark.parametrize("engine", REMOTE)
def test_what_answers_in_its_place_never_decides(subjects: Subjects, engine: str) -> None:
    subject = subjects(engine)
    assert subject.lie is not None
    with subject.lie():
        subject.eventually(lambda: "otherwise than at the build" in subject.readiness().text)
        assert not subject.decides()
        subject.other_decides()
    subject.recovers()


def test_a_supervisor_that_was_killed_is_replaced(subjects: Subjects) -> None:
    subject = subjects("tensorflow_serving")
    (supervisor,) = processes(f'"{Path(subject.server.log).parent}/instance/tensorflow_serving')
    before = subject.pids()
    os.kill(supervisor, signal.SIGKILL)
    subject.eventually(lambda: not set(before) & set(subject.pids()))
    subject.recovers()


def test_versions_are_served_side_by_side_and_old_ones_unloaded(subjects: Subjects) -> None:
    subject = subjects("tensorflow_serving")
    (configuration,) = Path(subject.server.log).parent.glob("instance/*/*/models.config")
    again = subject.server.upload("model", "model_file", subject.model + b"\n")
    assert again.ok, again.text
    second = again.json()["version"]
    assert second != subject.active
    subject.eventually(lambda: second in configuration.read_text())
    subject.eventually(lambda: subject.active not in configuration.read_text())
    subject.active = second
    subject.recovers()
