"""What writes code from a specification: a program that runs on Java.

|- OpenApiGenerator    the default: from PyPI, with a Java of its own, all languages in one run
`- SwaggerCodegen      a program on the PATH or a jar; one run a language
"""

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from policy_server.clients.languages import Language
from policy_server.clients.names import Package
from policy_server.contract.specification import Specification
from policy_server.errors import ClientsUnavailable

Progress = Callable[[str], None]
Outcomes = Mapping[str, Path | str]
"""Language -> the folder of what was generated, or why nothing was."""

BUILD_SECONDS = 300
"""Far more than any build takes: 3 seconds on two cores."""

JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")
"""For a program that ends before a compiler that optimises pays."""


@dataclass(frozen=True)
class Order:
    """Code that a generator is to write.

    Attributes:
        specification: What it is for.
        languages: Those that are wanted.
        package: How the code is named.
        folder: Where each language gets a folder of its own.
        progress: Called with a line for each language that is written.
    """

    specification: Specification
    languages: Sequence[Language]
    package: Package
    folder: Path
    progress: Progress


class Generator(Protocol):
    """Writes the code of SDKs."""

    name: str
    sends_credentials: bool
    """The generated code does, so that the specification must say what they are."""

    def version(self) -> str:
        """What the generator is, to the last digit that its output may depend on.

        Raises:
            ClientsUnavailable: It is not installed.
        """

    def languages(self) -> Sequence[Language]:
        """The languages that it knows."""

    def generate(self, order: Order) -> Outcomes:
        """Write the code of each language that is ordered.

        Raises:
            ClientsUnavailable: The generator is not installed.
        """


def run(command: Sequence[str], folder: Path) -> Iterator[str]:
    """Run a program in a folder: its lines as they come, and at last `exit N` where N is not 0.

    Raises:
        ClientsUnavailable: It cannot be started.
    """
    try:
        started = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ClientsUnavailable(
            f"SDKs cannot be made here: {command[0]} cannot be started: "
            f"{error.strerror or error}. Install it again, or let the server run it."
        ) from error
    with started as process:
        watch = threading.Timer(BUILD_SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield line.rstrip("\n")
            code = process.wait()
        finally:
            watch.cancel()
            process.kill()
    if code:
        yield f"exit {code}"
