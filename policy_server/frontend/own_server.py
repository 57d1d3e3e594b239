"""A server of the front-end's own: prepared from a schema, started, watched, ended with it."""

import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from policy_server.contract.contract import ContractFile
from policy_server.errors import RequestFailed, ServerNotStarted
from policy_server.frontend.client import Client, Credentials

HOST = "127.0.0.1"
PREPARE_SECONDS = 60
SHOWN_LOG_BYTES = 4_000
END_SECONDS = 30
LIVE_SECONDS = 30.0
POLL_SECONDS = 0.1
OFFERED_PORTS = 100
BACKLOG = 2048
"""Connections that wait to be accepted; gunicorn's own number."""


@dataclass(frozen=True)
class Workshop:
    """Where and how servers of one's own are started.

    Attributes:
        root: The checkout, with generate.py and gunicorn.conf.py.
        base_path: Each schema of each visitor gets a BASE_PATH of its own below it, and finds
            there what this visitor has uploaded for it before.
        port: Offered as the port to listen on, or the next that is free.
        user: Of the servers started; each has a password of its own, made up when it starts.
    """

    root: Path
    base_path: Path
    port: int
    user: str

    def examples(self) -> list[Path]:
        """Folders of examples, each with a schema; lpoc first."""
        folders = [path.parent for path in self.root.glob("examples/*/schema.yaml")]
        return sorted(folders, key=lambda folder: (folder.name != "lpoc", folder.name))

    def free_port(self) -> int:
        """The first port from `port` on that nobody listens on."""
        for port in range(self.port, self.port + OFFERED_PORTS):
            with contextlib.suppress(ServerNotStarted):
                _listen(port).close()
                return port
        return self.port

    def start(
        self, visitor: str, schema: str, title: str, port: int, last: "OwnServer | None" = None
    ) -> "OwnServer":
        """Prepare a schema and start a server that serves it.

        The front-end itself begins to listen on the port, and the server takes that over: nobody
        else can answer there, and be told the password.

        Args:
            visitor: Whose server it is.
            schema: Text of the observation schema.
            title: Name of the API.
            port: To listen on.
            last: The visitor's last server. It ends once the new one answers; where both are to
                have the same port, once the new one is prepared.

        Raises:
            SchemaError: The schema cannot be served.
            ServerNotStarted: The port is taken, the schema cannot be prepared, or the server does
                not answer.
        """
        contract = ContractFile(schema, title=title).resolve()
        name = hashlib.sha256(f"{contract.digest} {title} {visitor}".encode()).hexdigest()[:16]
        base_path = self.base_path / name
        # Never one of the environment: everyone who opens the page may read it.
        credentials = Credentials(self.user, secrets.token_urlsafe(18))
        environment = _environment(base_path, credentials)
        in_the_way = last if last is not None and last.is_at(port) else None
        with contextlib.ExitStack() as held:
            if in_the_way is None:
                listener = held.enter_context(_listen(port))
            base_path.mkdir(parents=True, exist_ok=True)
            self._prepare(contract.schema.text, title, environment)
            if in_the_way is not None:
                in_the_way.stop()
                listener = held.enter_context(_listen(port))
            log = base_path / f"server-{port}.log"
            supervisor = self._supervise(listener, environment, log)
        server = OwnServer(supervisor, Client(f"http://{HOST}:{port}", credentials), port, log)
        if last is not None and in_the_way is None:
            server.await_answer()
            last.stop()
        return server

    def _supervise(
        self, listener: socket.socket, environment: dict[str, str], log: Path
    ) -> "subprocess.Popen[bytes]":
        """Start the server that answers at a listener, and what ends it with the front-end."""
        server = [*_module("gunicorn"), "app:app", "-b", f"fd://{listener.fileno()}"]
        with log.open("wb") as output:
            return subprocess.Popen(
                [*_module("policy_server.frontend.supervisor"), *server],
                cwd=self.root,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[listener.fileno()],
                start_new_session=True,  # Ctrl+C in the terminal is for the front-end
            )

    def _prepare(self, schema: str, title: str, environment: dict[str, str]) -> None:
        # The server makes SDKs when it is asked for them; nobody waits for them to decide.
        command = [sys.executable, "generate.py", "schema", "-", f"--title={title}", "--noclients"]
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=environment,
                input=schema,
                capture_output=True,
                text=True,
                timeout=PREPARE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServerNotStarted("Preparing the schema took more than a minute.") from error
        if done.returncode != 0:
            raise ServerNotStarted(f"The schema cannot be prepared. {done.stderr.strip()[-2000:]}")


@dataclass
class OwnServer:
    """A server that this front-end started.

    Attributes:
        client: Asks it.
        port: Where it listens.
        log: What it printed.
    """

    supervisor: "subprocess.Popen[bytes]"
    client: Client
    port: int
    log: Path

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.supervisor.poll()

    def is_at(self, port: int) -> bool:
        """Whether it runs and listens there."""
        return self.port == port and self.exit_code is None

    @property
    def answers(self) -> bool:
        """Whether it answers now."""
        if self.exit_code is not None:  # who answers there now is somebody else
            return False
        try:
            self.client.get("health_live", 1.0)
        except RequestFailed:
            return False
        return True

    def await_answer(self) -> None:
        """Wait until it answers.

        Raises:
            ServerNotStarted: It does not, and was ended.
        """
        deadline = time.monotonic() + LIVE_SECONDS
        while not self.answers:
            if self.exit_code is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerNotStarted(
                    f"The server does not answer at port {self.port}. Its log ends with: "
                    f"{self.log_text()[-2000:] or '(nothing)'}"
                )
            time.sleep(POLL_SECONDS)

    def log_text(self) -> str:
        """The end of its log."""
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - SHOWN_LOG_BYTES))
            return file.read().decode("utf-8", "replace").strip()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        if self.supervisor.stdin is not None:
            self.supervisor.stdin.close()
        try:
            self.supervisor.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.supervisor.kill()
            self.supervisor.wait()


def _environment(base_path: Path, credentials: Credentials) -> dict[str, str]:
    """The settings of a server of one's own."""
    return {
        **os.environ,
        "POLICY_SERVER_BASE_PATH": str(base_path),  # comes before the bare name
        "POLICY_SERVER_TLS_CERTIFICATE": "",  # on this machine alone, and by its address
        "POLICY_SERVER_TLS_KEY": "",
        "POLICY_SERVER_USER": credentials.user,
        "POLICY_SERVER_PASSWORD": credentials.password,
        "POLICY_SERVER_PASSWORD_FILE": "",
    }


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ServerNotStarted(
            f"Port {port} is taken: choose another, or connect to the server that is there."
        ) from error
    return listener
