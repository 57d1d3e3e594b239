"""What can happen to a server in production, made to happen really: each leaves it settled."""

import contextlib
import io
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.churn import ACTIONS, activate, alive, children, parts_of, upload, versions
from tests.support.contracts import read_contracts
from tests.support.server import Server

SETTLING_SECONDS = 120.0
PAUSED_SECONDS = 2.0
REFUSED = "the reload is refused"
LIVE = '{"status": "ok'
"""In the program: how its answer to `GET /health/live` begins."""


@dataclass(frozen=True)
class Death:
    """A process that was killed, or stopped until it was: what it held is lost."""

    pid: int
    start: float
    end: float


@dataclass
class Trial:
    """A server to which things happen.

    Attributes:
        program: A copy of the sources, from which it runs.
        workers: How many it should have.
        kept: How many versions it keeps.
        master: Process id of the master, which changes when the server is renewed.
        numbers: Of each version, with which number its parts were made.
        deaths: Of all that were killed.
        programs: How many programs it has had.
    """

    server: Server
    program: Path
    base: Path
    workers: int
    kept: int
    master: int
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    numbers: dict[str, int] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)
    programs: int = 0

    def worker_pids(self) -> set[int]:
        """Of the workers that say that they decide."""
        return {each["pid"] for each in versions(self.server.url)["workers"] if each["version"]}

    def settle(self) -> None:
        """Wait until all workers are the master's and decide with the active version."""
        self.until(self._is_settled)

    def until(self, fulfilled: Callable[[], bool]) -> None:
        """Wait for something."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while not fulfilled():
            assert time.monotonic() < deadline, self.server.log.read_text()[-20_000:]
            time.sleep(0.05)

    def said(self, text: str) -> int:
        """How often the log says something."""
        return self.server.log.read_text(errors="replace").count(text)

    @contextlib.contextmanager
    def dying(self, pid: int) -> Iterator[None]:
        """A process ends in this block, by our doing."""
        start = time.monotonic()
        yield
        self.until(lambda: not alive(pid))
        self.deaths.append(Death(pid, start, time.monotonic()))

    def kill(self, pids: set[int]) -> None:
        """End one of these processes with SIGKILL."""
        pid = self.rng.choice(sorted(pids))
        with self.dying(pid), contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """End the server in good order, whichever master it has now."""
        if alive(self.master):
            os.kill(self.master, signal.SIGTERM)
        self.until(lambda: not alive(self.master))

    def _is_settled(self) -> bool:
        found = versions(self.server.url)
        pids = {each["pid"] for each in found["workers"]}
        decided = [each["version"] for each in found["workers"]]
        return decided == [found["active"]] * self.workers and pids <= set(children(self.master))


def swap(trial: Trial) -> None:
    """Upload a version over HTTP, and wait until all workers decide with it."""
    number = len(trial.numbers) % ACTIONS
    parts = parts_of(number, preprocessor=True)
    trial.numbers[upload(trial.server.url, parts)] = number
    trial.settle()


def publish(trial: Trial) -> None:
    """Publish a version beside the server, as the command line does, and go back and forward."""
    before, number = versions(trial.server.url)["active"], len(trial.numbers) % ACTIONS
    contracts = read_contracts(trial.base)
    publisher = Publisher(open_store(trial.base), contracts, BuildLimits(), retain=trial.kept)
    files = parts_of(number)
    parts = {Part.MODEL: "model_file", Part.OUTPUT_MAPPER: "output_mapper_file"}
    opened = {part: io.BytesIO(files[name][1]) for part, name in parts.items()}
    made = publisher.publish(Bundle(opened)).version
    trial.numbers[made] = number
    activate(trial.server.url, before)
    activate(trial.server.url, made)
    trial.settle()


def kill(trial: Trial) -> None:
    """End a worker with SIGKILL."""
    trial.kill(trial.worker_pids())
    trial.settle()


def pause(trial: Trial) -> None:
    """Stop a worker and let it go on: what it holds waits."""
    pid = trial.rng.choice(sorted(trial.worker_pids()))
    os.kill(pid, signal.SIGSTOP)
    time.sleep(PAUSED_SECONDS)
    os.kill(pid, signal.SIGCONT)
    trial.settle()


def hang(trial: Trial) -> None:
    """Stop a worker until the master takes it for hung, and replaces it."""
    pid = trial.rng.choice(sorted(trial.worker_pids()))
    with trial.dying(pid):
        os.kill(pid, signal.SIGSTOP)
    trial.settle()


def reload(trial: Trial) -> None:
    """SIGHUP: all workers are replaced."""
    before = trial.worker_pids()
    os.kill(trial.master, signal.SIGHUP)
    trial.until(lambda: not trial.worker_pids() & before)
    trial.settle()


def reload_and_kill(trial: Trial) -> None:
    """SIGHUP, and the death of any worker, old or new: the reload goes on, or is refused."""
    before, said = trial.worker_pids(), trial.said(REFUSED)
    os.kill(trial.master, signal.SIGHUP)
    time.sleep(trial.rng.uniform(0, 4))
    trial.kill(set(children(trial.master)))
    trial.until(lambda: trial.said(REFUSED) > said or not trial.worker_pids() & before)
    trial.settle()


def refuse_settings(trial: Trial) -> None:
    """SIGHUP with settings that cannot be used."""
    before, said = trial.worker_pids(), trial.said(REFUSED)
    settings = trial.program / ".env"
    settings.write_text("POLICY_SERVER_BODY_MEGABYTES=plenty\n")
    os.kill(trial.master, signal.SIGHUP)
    trial.until(lambda: trial.said(REFUSED) > said)
    settings.unlink()
    assert trial.worker_pids() == before


def upgrade(trial: Trial) -> None:
    """Another program, first broken: a worker that dies meanwhile is replaced by the old one."""
    path = trial.program / "policy_server/web/health.py"
    source, said = path.read_text(), trial.said(REFUSED)
    _replace(path, f"{source}\nthis is no Python\n")
    os.kill(trial.master, signal.SIGHUP)
    trial.until(lambda: trial.said(REFUSED) > said)
    trial.kill(trial.worker_pids())
    trial.settle()
    trial.programs += 1
    start = source.index(LIVE) + len(LIVE)
    end = source.index('"', start)
    _replace(path, f"{source[:start]} {trial.programs}{source[end:]}")
    reload(trial)
    told = {requests.get(f"{trial.server.url}/health/live", timeout=60).text for _ in range(16)}
    assert told == {f'{{"status":"ok {trial.programs}"}}'}


def renew(trial: Trial) -> None:
    """SIGUSR2: a second master beside the first, which then ends by SIGTERM."""
    first, workers = trial.master, set(children(trial.master))
    os.kill(first, signal.SIGUSR2)
    trial.until(lambda: len(trial.worker_pids()) == 2 * trial.workers)
    (parent,) = {_parent(pid) for pid in trial.worker_pids() - workers}
    os.kill(first, signal.SIGTERM)
    trial.master = parent
    trial.until(lambda: not alive(first))
    trial.settle()


def damage(trial: Trial) -> None:
    """Spoil the active version's network: a worker that starts then takes the newest sound one."""
    active = versions(trial.server.url)["active"]
    network = trial.base / "versions" / active / "model" / "network.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 0x10
    _replace(network, bytes(content))
    trial.kill(trial.worker_pids())
    trial.until(lambda: len(trial.worker_pids()) == trial.workers)
    swap(trial)


def take_away(trial: Trial) -> None:
    """The store is gone for seconds, in which a worker dies, and comes back."""
    away, said = trial.base.with_name("away"), trial.said("cannot start")
    before = trial.worker_pids()
    trial.base.rename(away)
    trial.kill(before)
    trial.until(lambda: trial.said("cannot start") > said)
    shutil.rmtree(trial.base, ignore_errors=True)  # what the tries have left there
    away.rename(trial.base)
    trial.settle()


DISTURBANCES = (
    swap,
    kill,
    publish,
    pause,
    reload,
    damage,
    refuse_settings,
    renew,
    take_away,
    upgrade,
    reload_and_kill,
    hang,
)
"""All of them, in the order in which they come."""


def _replace(path: Path, content: str | bytes) -> None:
    """As installers do: the old file, or the new one, and nothing between."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content.encode() if isinstance(content, str) else content)
    new.replace(path)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
