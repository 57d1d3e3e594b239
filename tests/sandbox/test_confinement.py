"""What a confined process cannot do, and that it could without: as root and as an ordinary user."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.sandbox.landlock import version
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.profile import Profile, engine_profile, preprocessor_profile
from tests.support import hostile
from tests.support.ordinary_user import as_ordinary_user
from tests.support.server import ROOT
from tests.support.without_calls import LANDLOCK, SECCOMP, UNSHARE, without_calls

CONFINED = """\
import os, sys
sys.path.insert(0, sys.argv[1])
import numpy
from policy_server.sandbox.confinement import confine
from policy_server.sandbox.profile import Profile
from tests.support import hostile
confine(Profile.from_json(sys.argv[2]), os.getppid())
print(hostile.report(hostile.json.loads(sys.argv[3])))
"""
MISSING = """\
import sys
sys.path.insert(0, sys.argv[1])
from policy_server.sandbox.confinement import missing
print("\\n".join(missing()))
"""
VICTIM = "import time; print(flush=True); time.sleep(1e6)"
ORDINARY = os.geteuid() != 0
NEEDS_ROOT = {"joins its network", "hastens the server"}
"""Refused to an ordinary user anyway; another user's priority, say, only root sets lower."""
STARTS_THREADS = {"starts a thread"}
NO_FILES = {
    *("reads credentials", "lists the store"),
    *("reads the server's environment", "lists its descriptors"),
}
"""What only Landlock keeps from an ordinary user; the server's own files are its own, too."""
PATIENCE_SECONDS = 60


class Ground:
    """A victim, a folder of secrets, and sockets that somebody listens on."""

    def __init__(self, folder: Path, *, ordinary: bool) -> None:
        self._ordinary = ordinary
        self.folder = folder
        (folder / "credentials").write_text("secret")
        (folder / "preprocessor.py").write_text("")
        folder.chmod(0o777)
        self._listening = [socket.create_server(("127.0.0.1", 0))]
        for address in (str(folder / "socket"), f"\0{folder}/socket"):
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(address)
            listening.listen()
            self._listening.append(listening)
        (folder / "socket").chmod(0o777)
        self._victim = subprocess.Popen(
            self.command(sys.executable, "-c", VICTIM),
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._victim.stdout is not None
        self._victim.stdout.readline()

    def command(self, *words: str) -> list[str]:
        return as_ordinary_user(*words) if self._ordinary else list(words)

    def report(self, profile: Profile, *refused: int) -> dict[str, str]:
        """What comes of all attempts under a profile, where the kernel refuses some calls."""
        facts = {
            "victim": self._victim.pid,
            "folder": str(self.folder),
            "code": str(self.folder),
            "port": self._listening[0].getsockname()[1],
            "socket": str(self.folder / "socket"),
        }
        words = ["-c", CONFINED, str(ROOT), profile.as_json(), json.dumps(facts)]
        command = [sys.executable, *words]
        if refused:
            command = without_calls(refused, command, errno.ENOSYS)
        ran = subprocess.run(
            self.command(*command),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            env={"OPENBLAS_NUM_THREADS": "1"},
        )
        assert ran.returncode == 0, ran.stderr
        found: dict[str, str] = json.loads(ran.stdout)
        return found

    def close(self) -> None:
        assert self._victim.poll() is None
        self._victim.kill()
        self._victim.wait()
        self._victim.stdout.close()  # type: ignore[union-attr]
        for each in self._listening:
            each.close()


@pytest.fixture(scope="module", params=["root", "ordinary"])
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    made = Ground(folder, ordinary=request.param == "ordinary" or ORDINARY)
    yield made
    made.close()


ATTACKS = set(hostile.attacks({"victim": 0, "folder": "", "code": ""}))
HONEST = set(hostile.honest_work())


def done(report: dict[str, str]) -> set[str]:
    return {name for name, outcome in report.items() if outcome == "done"}


def computes(ground: Ground) -> Profile:
    """What a preprocessor has; the attacks are in its own file, as they are in one."""
    limits = ProcessLimits()
    return preprocessor_profile(Path(str(hostile.__file__)), limits)


def test_without_confinement_everything_works(ground: Ground) -> None:
    report = ground.report(Profile(confined=False))
    assert done(report) >= (ATTACKS | HONEST) - NEEDS_ROOT, report


def test_a_preprocessor_computes_and_nothing_else(ground: Ground) -> None:
    report = ground.report(computes(ground))
    assert done(report) == HONEST, report


def test_the_same_holds_where_a_container_refuses_namespaces(ground: Ground) -> None:
    report = ground.report(computes(ground), UNSHARE)
    assert done(report) == HONEST, report


def test_an_engine_starts_threads_too(ground: Ground) -> None:
    profile = engine_profile(Path(str(hostile.__file__)).parent, 512)
    assert done(ground.report(profile)) == HONEST | STARTS_THREADS


def test_without_landlock_nothing_is_changed_or_reached(ground: Ground) -> None:
    """Files can be read, which is said; no more."""
    report = ground.report(computes(ground), LANDLOCK)
    assert done(report) - HONEST <= NO_FILES, report
    assert "writes to nowhere" not in done(report)


def test_without_seccomp_files_are_safe(ground: Ground) -> None:
    report = ground.report(computes(ground), SECCOMP)
    assert done(report) & NO_FILES == set(), report
    assert not done(report) & {name for name in ATTACKS if name.startswith(("writes", "signals"))}


@pytest.mark.parametrize(
    ("refused", "named"), [(LANDLOCK, "Landlock"), (SECCOMP, "seccomp"), (UNSHARE, "")]
)
def test_what_is_missing_is_named(refused: int, named: str) -> None:
    command = without_calls((refused,), [sys.executable, "-c", MISSING, str(ROOT)])
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert [line.partition(":")[0] for line in told.split("\n") if line] == (
        [named] if named else []
    )


def test_root_of_a_namespace_without_other_users_is_confined_too(tmp_path: Path) -> None:
    """As in a container that an ordinary user has started."""
    alone = ["unshare", "--map-root-user", sys.executable, "-c"]
    told = subprocess.run(
        [*alone, MISSING, str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    assert "in this namespace: uploaded code runs as root, though without" in told
    facts = {"victim": os.getpid(), "folder": str(tmp_path), "code": str(tmp_path), "port": 9}
    profile = preprocessor_profile(Path(str(hostile.__file__)), ProcessLimits()).as_json()
    given = json.dumps({**facts, "socket": str(tmp_path / "socket")})
    ran = subprocess.run(
        [*alone, CONFINED, str(ROOT), profile, given],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done(json.loads(ran.stdout)) == HONEST


def test_a_process_with_threads_is_not_half_confined() -> None:
    code = (
        "import sys, threading, time; sys.path.insert(0, sys.argv[1])\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "import os; from policy_server.sandbox import confinement, profile\n"
        "confinement.confine(profile.Profile(), os.getppid())\n"
    )
    command = [sys.executable, "-c", code, str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "NotConfined: 2 threads run already" in ran.stderr


def test_no_file_grows_beyond_its_limit(tmp_path: Path) -> None:
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from policy_server.sandbox import confinement, profile\n"
        "profile = profile.Profile(writable=(sys.argv[2],), file_bytes=1000)\n"
        "confinement.confine(profile, os.getppid())\n"
        "file = open(sys.argv[2] + '/file', 'wb', 0)\n"
        "print(file.write(bytes(1000)), flush=True)\n"
        "file.write(bytes(1))\n"
    )
    tmp_path.chmod(0o777)
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stdout == "1000\n", ran.stderr
    assert "OSError: [Errno 27] File too large" in ran.stderr


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """Though it has become another user, which makes the kernel forget whose end is its own."""
    code = (
        "import os, sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from policy_server.sandbox import confinement, profile\n"
        "parent = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    confinement.confine(profile.Profile(), parent)\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(1e6)\n"
        "time.sleep(1e6)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().strip()
    parent.stdout.close()
    assert child.exists()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while child.exists() and "Z" not in (child / "stat").read_text().rpartition(")")[2][:3]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_this_machine_has_all_of_it() -> None:
    """Or the tests above would show less than they say."""
    assert version() >= 6
