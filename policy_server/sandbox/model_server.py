"""TensorFlow Serving for all processes of a server: who wants what of it, and where it is.

    BASE_PATH/tensorflow_serving/HOST/
      wanted/<name>.<...>   a locked file for each process that wants a folder to be served
      models.config         all of them, as tensorflow_model_server polls it
      state.json            where it listens, or why it does not
      lock                  held by the supervisor
      server.log            what it prints

One supervisor (`model_server_supervisor.py`) keeps this and the program. It is started by the
process that finds none, ends when nothing is wanted, and the program ends with it. The kernel lets
go of locks when a process ends, however that is, so nobody counts the dead.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec

from policy_server.errors import EngineFailed
from policy_server.policy.engines.remote import NotReady
from policy_server.sandbox.process import PASSED_ON, START
from policy_server.sandbox.profile import ROOT

MODULE = "policy_server.sandbox.model_server_supervisor"
FOLDER = "tensorflow_serving"
DEVICES = ("TF_", "CUDA_", "NVIDIA_", "OMP_", "XLA_")
"""Variables that begin so are handed on: they say what the program may use of the machine."""
UNNAMED = re.compile(r"[^A-Za-z0-9_.-]")
NAME_CHARACTERS, DIGEST_CHARACTERS = 60, 10


class State(msgspec.Struct, omit_defaults=True):
    """What the supervisor says of the program.

    Attributes:
        url: Where it listens; empty while it does not.
        fault: Why it does not; empty while it starts.
    """

    url: str = ""
    fault: str = ""


class Task(msgspec.Struct):
    """What a supervisor is for.

    Attributes:
        folder: Of its files.
        program: What it runs; empty where somebody else does.
        url: Where that listens.
        port: Where the program is to listen; 0 takes a free one.
    """

    folder: str
    program: str
    url: str
    port: int


class ModelServer:
    """Asks for folders to be served; a `TensorFlowServer`.

    Args:
        base_path: Below which its files lie.
        program: `tensorflow_model_server`: a name on the PATH, or a path.
        url: Of one that runs already; empty where the program is to be run.
        port: Where the program is to listen; 0 takes a free one.
    """

    def __init__(self, base_path: Path, program: str, url: str = "", port: int = 0) -> None:
        host = UNNAMED.sub("_", socket.gethostname())
        self._folder = base_path.absolute() / FOLDER / host
        self._task = Task(str(self._folder), "" if url else program, url, port)
        self._starting: threading.Thread | None = None

    def serve(self, folder: Path) -> "Wanted":
        """Ask for the SavedModels of a folder, whose names are their versions.

        Raises:
            EngineFailed: The files of this cannot be written.
        """
        try:
            wanted = Wanted(self, self._folder / "wanted", folder.absolute())
            self._supervise()
        except OSError as error:
            raise EngineFailed("what TensorFlow Serving is to serve cannot be written") from error
        return wanted

    def url(self) -> str:
        """Where it listens.

        Raises:
            NotReady: It is being started.
            EngineFailed: It cannot be.
        """
        try:
            self._supervise()
            state = msgspec.json.decode((self._folder / "state.json").read_bytes(), type=State)
        except FileNotFoundError:
            state = State()
        except (OSError, ValueError) as error:
            raise EngineFailed("the state of TensorFlow Serving cannot be read") from error
        if state.fault:
            raise EngineFailed(state.fault)
        if not state.url:
            raise NotReady("it is being started")
        return state.url

    def _supervise(self) -> None:
        """Start a supervisor where there is none."""
        if self._starting is not None and self._starting.is_alive():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            (self._folder / "state.json").unlink(missing_ok=True)  # of one that is gone
        with (self._folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    str(START),
                    MODULE,
                    msgspec.json.encode(self._task).decode(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**_handed_on(), "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self._starting = threading.Thread(target=process.wait, daemon=True)
        self._starting.start()


class Wanted:
    """A folder that is wanted, until this is closed or the process ends.

    Attributes:
        name: What TensorFlow Serving calls it.

    Args:
        server: That is asked.
        files: Folder of the files of all that is wanted.
        folder: To be served.
    """

    def __init__(self, server: ModelServer, files: Path, folder: Path) -> None:
        self._server = server
        self.name = name_of(folder)
        files.mkdir(parents=True, exist_ok=True)
        self._descriptor, path = tempfile.mkstemp(dir=files, prefix=f".{self.name}.")
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.write(self._descriptor, str(folder).encode())
        self._path = Path(path).rename(files / Path(path).name.removeprefix("."))

    def url(self) -> str:
        """Where TensorFlow Serving is reached now; raises as that of `ModelServer`."""
        return self._server.url()

    def close(self) -> None:
        """Want it no longer; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(descriptor)


def wanted_folders(files: Path) -> dict[str, str]:
    """All folders that living processes want, by their names; what dead ones left is removed."""
    found: dict[str, str] = {}
    for path in sorted(files.iterdir()) if files.is_dir() else ():
        with contextlib.suppress(OSError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if not path.name.startswith("."):  # else it is not written yet
                    found[path.name.rpartition(".")[0]] = file.read().decode()
            else:
                path.unlink()
    return found


def name_of(folder: Path) -> str:
    """What a folder is called: by its version, for people, and by its path."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:DIGEST_CHARACTERS]
    version = folder.parents[1].name if len(folder.parents) > 2 else folder.name
    return f"{UNNAMED.sub('_', version)[:NAME_CHARACTERS]}-{digest}"


def _handed_on() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith(DEVICES)
    }
