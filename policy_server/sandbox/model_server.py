"""A program that runs networks for all processes of a server: who wants what of it, where it is.

    BASE_PATH/tensorflow_serving/HOST/    or device/HOST/
      wanted/<name>.<...>   a locked file for each process that wants a folder to be served
      models.config         all of them, as the program polls it; or models.json
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
import time
from pathlib import Path

import msgspec

from policy_server.errors import EngineFailed
from policy_server.policy.engines.remote import NotReady
from policy_server.sandbox.process import PASSED_ON, START
from policy_server.sandbox.profile import ROOT

MODULE = "policy_server.sandbox.model_server_supervisor"
POLL_SECONDS = 1
"""Between two looks of a program at its file; TensorFlow Serving takes whole numbers."""
DEVICES = ("TF_", "CUDA_", "NVIDIA_", "OMP_", "XLA_")
"""Variables that begin so are handed on: they say what the program may use of the machine."""
UNNAMED = re.compile(r"[^A-Za-z0-9_.-]")
NAME_CHARACTERS, DIGEST_CHARACTERS = 60, 10
WRITING_SECONDS = 60.0
"""After which a file that is not written yet was left by a dead process."""


class State(msgspec.Struct, omit_defaults=True):
    """What the supervisor says of the program.

    Attributes:
        url: Where it listens; empty while it does not.
        fault: Why it does not; empty while it starts.
    """

    url: str = ""
    fault: str = ""


class ServerKind(msgspec.Struct, frozen=True):
    """A kind of program, and how it is run.

    Attributes:
        name: What the log calls it.
        folder: Of its files, below BASE_PATH.
        file: That it polls; JSON, by names, where it ends so, else protobuf's text.
        arguments: Of the program; `{port}` stands for where it listens, `{file}` for that file.
        secret: It answers below a path that PATH_VARIABLE tells it alone: other users of the
            machine reach its port, and get nothing from it.
    """

    name: str
    folder: str
    file: str
    arguments: tuple[str, ...]
    secret: bool = False


TENSORFLOW_SERVING = ServerKind(
    "TensorFlow Serving",
    "tensorflow_serving",
    "models.config",
    (
        "--port=0",
        "--rest_api_port={port}",
        "--model_config_file={file}",
        f"--model_config_file_poll_wait_seconds={POLL_SECONDS}",
    ),
)
DEVICE_MODULE = "policy_server.sandbox.device_server"
PATH_VARIABLE = "POLICY_SERVER_DEVICE_PATH"


def device_kind(provider: str) -> ServerKind:
    """The process of this package that runs networks on a device of ONNX Runtime."""
    arguments = ("-P", str(START), DEVICE_MODULE, "{port}", "{file}", provider)
    return ServerKind("the device", "device", "models.json", arguments, secret=True)


class Task(msgspec.Struct):
    """What a supervisor is for.

    Attributes:
        kind: Of the program.
        folder: Of its files.
        program: What it runs; empty where somebody else does.
        url: Where that listens.
        port: Where the program is to listen; 0 takes a free one.
    """

    kind: ServerKind
    folder: str
    program: str
    url: str
    port: int


class ModelServer:
    """Asks for folders to be served; a `FolderServer`.

    Args:
        base_path: Below which its files lie.
        program: A name on the PATH, or a path: of `tensorflow_model_server`, say.
        url: Of one that runs already; empty where the program is to be run.
        port: Where the program is to listen; 0 takes a free one.
        kind: Of the program.
    """

    def __init__(
        self,
        base_path: Path,
        program: str,
        url: str = "",
        port: int = 0,
        kind: ServerKind = TENSORFLOW_SERVING,
    ) -> None:
        host = UNNAMED.sub("_", socket.gethostname())
        self._name = kind.name
        self._folder = base_path.absolute() / kind.folder / host
        self._task = Task(kind, str(self._folder), "" if url else program, url, port)
        self._starting: threading.Thread | None = None

    def serve(self, folder: Path) -> "Wanted":
        """Ask for a folder: for the SavedModels in it, or for the network.

        Raises:
            EngineFailed: The files of this cannot be written.
        """
        try:
            wanted = Wanted(self, self._folder / "wanted", folder.absolute())
            self._supervise()
        except OSError as error:
            raise EngineFailed(f"what {self._name} is to serve cannot be written") from error
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
            raise EngineFailed(f"the state of {self._name} cannot be read") from error
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
        name: What the program calls it.

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
        """Where the program is reached now; raises as that of `ModelServer`."""
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
        is_written = not path.name.startswith(".")
        with contextlib.suppress(OSError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if is_written:
                    found[path.name.rpartition(".")[0]] = file.read().decode()
            else:  # its process is dead, or has not locked it yet
                if is_written or path.stat().st_mtime < time.time() - WRITING_SECONDS:
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
