"""The SDKs of one contract: built once, kept by what they are made of, handed out from disk.

`BASE_PATH/clients/<content>/<generator>/` holds a zip for each language, `clients.zip` with all
that are tested, and `failures.json`. The content is a hash of the specification and of the code
that makes SDKs, so a changed schema, title or template never meets an old SDK.
"""

import contextlib
import fcntl
import json
import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TextIO

from policy_server.clients.archive import read_zip, write_zip
from policy_server.clients.build import build_files
from policy_server.clients.content import content_of
from policy_server.clients.edition import Edition
from policy_server.clients.generator import Generator, Progress
from policy_server.clients.languages import NAMES, Language, Level
from policy_server.clients.listing import list_of, readme_of
from policy_server.clients.specification import without_sign_in
from policy_server.contract.contract import Contract
from policy_server.contract.specification import Specification
from policy_server.errors import (
    ClientsBuilding,
    ClientsFailed,
    ClientsUnavailable,
    ConfigurationError,
    Fault,
    PolicyServerError,
    StoreFailed,
)
from policy_server.files import write_atomically

FAILURES = "failures.json"
WHOLE = "clients"
"""Name of the zip that holds every language that is tested."""
LIST = "languages.json"
"""In that zip: every language, how far it is tested, and whether it is inside."""
KEPT_CONTENTS = 4
"""SDKs of so many contracts are kept, the newest."""
UNFINISHED = ".building-"
AGAIN_SECONDS = 60.0
"""After a build that failed the next request begins another; until then requests say why."""

logger = logging.getLogger(__name__)


class ClientLibrary:
    """The SDKs of one contract.

    Args:
        base_path: BASE_PATH.
        contract: What they are for.
        specification: Tells the contract as it is served; asked when it is wanted.
        generator: What writes their code.
        again_seconds: After which a build that failed may be tried again.
    """

    def __init__(
        self,
        base_path: Path,
        contract: Contract,
        specification: Callable[[], Specification],
        generator: Generator,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self.edition = Edition.of(base_path, contract)  # what they are called, what changed
        self._folder = base_path / "clients"
        self._contract = contract
        self._rendered = specification
        self._generator = generator
        self._again_seconds = again_seconds
        self._building: threading.Thread | None = None
        # Of the last build here, by the language that was asked for, if it failed; and when.
        self._crashed: dict[str | None, tuple[PolicyServerError, float]] = {}

    def archive(self, language: str | None = None) -> bytes:
        """The zip of one language, or of all that are tested. Starts a build where there is none.

        Raises:
            ClientsBuilding: A build has begun; ask again.
            ClientsFailed: This language cannot be had, or none can.
            ClientsUnavailable: There is nothing to build with, or nowhere to keep it.
            StoreFailed: What was built could not be kept.
        """
        try:
            folder = self._shelf()
        except ClientsUnavailable:
            newest = self._newest_shelf()
            if newest is None:
                raise
            folder = newest
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return (folder / f"{language or WHOLE}.zip").read_bytes()
        if language is not None and language not in self._by_name():
            raise ClientsFailed(f"There is no SDK for {language}: {self._generator.name} has none.")
        self._generator.version()
        with self._opened_lock():
            pass  # that it can be kept is known before anybody is told to ask again
        if (refusal := self._refusal(language, folder)) is not None:
            raise refusal
        self._start(language)
        raise ClientsBuilding("The SDKs are being made; ask again in a moment.")

    def _refusal(self, language: str | None, folder: Path) -> PolicyServerError | None:
        """Why there is nothing and will be nothing for a while; None where a build may help."""
        failures = _failures(folder)
        refusal = None
        if language in failures:
            refusal = ClientsFailed(f"There is no SDK for {language}: {failures[language]}")
        elif language is None and failures and failures.keys() >= self._known():
            refusal = ClientsFailed(f"There are no SDKs: {next(iter(failures.values()))}")
        if refusal is not None:
            if time.time() > _age(folder / FAILURES) + self._again_seconds:
                self._start(language)  # the next request is told what came of it
            return refusal
        error, failed = self._crashed.get(self._alone(language), (None, 0.0))
        return error if time.monotonic() < failed + self._again_seconds else None

    @property
    def folder(self) -> Path:
        """Where the zips of this contract lie.

        Raises:
            ClientsUnavailable: There is nothing to build with.
        """
        return self._shelf()

    def build(self, languages: Sequence[str], progress: Progress) -> Mapping[str, str | None]:
        """Make SDKs where they are not there yet; of all that are tested if no language is named.

        Returns:
            Language -> None, or why it has no SDK.

        Raises:
            ConfigurationError: A language is not known.
            ClientsUnavailable: There is nothing to build with, or nowhere to keep it.
        """
        self._generator.version()
        known = self._by_name()
        why = f"is not a language of {self._generator.name}: {', '.join(sorted(known))} are."
        if faults := [Fault(name, why) for name in languages if name not in known]:
            raise ConfigurationError("These SDKs cannot be made.", faults)
        with self._locked(wait=True):
            wanted = [name for name in known if name in (languages or self._known())]
            failures = self._build(wanted, progress)
        return {name: failures.get(name) for name in wanted}

    @cached_property
    def _specification(self) -> Specification:
        return without_sign_in(self._rendered())

    @cached_property
    def _content(self) -> str:
        return content_of(self._specification, self._contract.schema.digest, self.edition.changes)

    def _by_name(self) -> dict[str, Language]:
        return {language.name: language for language in self._generator.languages()}

    def _known(self) -> frozenset[str]:
        """Those that are made together, before anybody asks for one by its name."""
        known = self._by_name().items()
        return frozenset(name for name, each in known if each.level is Level.TESTED)

    def _alone(self, language: str | None) -> str | None:
        """A language that is made by itself, when somebody asks for it; None for the others."""
        return None if language in self._known() else language

    def _shelf(self) -> Path:
        generator = re.sub(r"[^\w.]+", "-", self._generator.version())
        return self._folder / self._content / generator

    def _newest_shelf(self) -> Path | None:
        shelves = sorted((self._folder / self._content).glob("*/"), key=_age)
        return shelves[-1] if shelves else None

    def _start(self, language: str | None) -> None:
        """Build in the background; where another process does, the lock ends this at once."""
        if self._building is None or not self._building.is_alive():
            self._building = threading.Thread(
                target=self._build_wanted, args=(self._alone(language),), daemon=True
            )
            self._building.start()

    def _build_wanted(self, alone: str | None) -> None:
        try:
            with self._locked(wait=False):
                self._build([alone] if alone else list(NAMES), lambda _: None)
            self._crashed.pop(alone, None)
        except BlockingIOError:
            pass  # another process builds
        except Exception as error:  # a request must not wait for ever
            self._crashed[alone] = self._explained(error), time.monotonic()

    def _explained(self, error: Exception) -> PolicyServerError:
        if isinstance(error, ClientsUnavailable):
            return error
        again = f"It is tried again when somebody asks {self._again_seconds:g} seconds later."
        if isinstance(error, OSError):
            return StoreFailed(
                f"The SDKs cannot be kept in {self._folder}: {error.strerror or error}. Make room "
                f"there, or let the server write to it. {again}"
            )
        logger.error("The SDKs could not be made.", exc_info=error)
        return ClientsFailed(f"There are no SDKs: the build crashed, the log says why. {again}")

    def _build(self, names: Sequence[str], progress: Progress) -> dict[str, str]:
        shelf = self._shelf()
        shelf.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        missing = [
            language
            for language in self._generator.languages()
            if language.name in names and not (shelf / f"{language.name}.zip").exists()
        ]
        failures = {name: why for name, why in _failures(shelf).items() if name not in names}
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=UNFINISHED) as temporary:
            failures |= self._fill(shelf, missing, Path(temporary), progress)
            write_atomically(shelf / FAILURES, json.dumps(failures))
            self._put_whole(shelf, failures)
        self._forget()
        return failures

    def _fill(
        self, shelf: Path, missing: Sequence[Language], temporary: Path, progress: Progress
    ) -> dict[str, str]:
        """Put the zips of missing languages on the shelf; says why where there is none."""
        failures: dict[str, str] = {}
        if not missing:
            return failures
        given = (self._generator, self._contract, self.edition, self._specification)
        made = build_files(*given, missing, temporary, progress)
        for name, files in made.items():
            if isinstance(files, str):
                failures[name] = files
            else:
                content = write_zip({f"{name}/{path}": text for path, text in files.items()})
                write_atomically(shelf / f"{name}.zip", content)
        return failures

    def _put_whole(self, shelf: Path, failures: Mapping[str, str]) -> None:
        """Once every language was tried, those that are there make the whole."""
        zips = {name: shelf / f"{name}.zip" for name in self._known()}
        made = [name for name in NAMES if name in zips and zips[name].exists()]
        if not made or failures.keys() | set(made) < self._known():
            return
        files: dict[str, bytes] = {}
        for name in made:
            files |= read_zip(zips[name].read_bytes())
        files[LIST] = list_of(self._generator, made)
        files["README.md"] = readme_of(self._contract.title, self._generator, made, failures)
        write_atomically(shelf / f"{WHOLE}.zip", write_zip(files))

    def _forget(self) -> None:
        """Remove what was made for contracts of long ago."""
        contents = sorted(self._folder.glob("*/"), key=_age, reverse=True)
        for old in [path for path in contents if path.name != self._content][KEPT_CONTENTS - 1 :]:
            shutil.rmtree(old, ignore_errors=True)

    def _opened_lock(self) -> TextIO:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return (self._folder / "lock").open("a")
        except OSError as error:
            raise ClientsUnavailable(
                f"SDKs cannot be kept in {self._folder}: {error.strerror or error}. Let the server "
                "write there, or run `python generate.py clients` once with the same BASE_PATH "
                "where that may be written to: what lies there is handed out."
            ) from error

    @contextlib.contextmanager
    def _locked(self, *, wait: bool) -> Iterator[None]:
        """Be the only one who builds; raises BlockingIOError where another one is."""
        with self._opened_lock() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _failures(shelf: Path) -> dict[str, str]:
    try:
        failures: dict[str, str] = json.loads((shelf / FAILURES).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return {}
    return failures
