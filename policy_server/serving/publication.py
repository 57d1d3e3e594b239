"""From uploaded parts to a version: staged, built, committed, activated if it is complete."""

import contextlib
import logging
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.errors import (
    Overloaded,
    PolicyServerError,
    VersionNotFound,
)
from policy_server.policy.engines.registry import OPEN_INFERENCE, TENSORFLOW_SERVING
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.proving.build import Progress
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport
from policy_server.serving.activation import Activation
from policy_server.serving.bundle import Bundle, ReadableFile
from policy_server.serving.contracts import Contracts
from policy_server.serving.observed_build import Built, observed_build
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.version_report import VersionReport, report_of, told_of
from policy_server.store.content import content_hash
from policy_server.store.manifest import Manifest
from policy_server.store.store import Store
from policy_server.version.parts import (
    HEAD_BYTES,
    ZIP,
    Part,
    name_by_content,
    uploaded_file,
    uploaded_paths,
)
from policy_server.version.version_parts import read_description

RETAINED_VERSIONS = 20
MOST_UPLOADS = 4
"""Of one worker, in the making or waiting: each holds a thread, and other operations need some."""

logger = logging.getLogger(__name__)


class Publisher:
    """Makes versions of uploads.

    What was uploaded before makes no second version: the one that is there is activated.

    Args:
        store: Where versions go.
        contracts: Know what they must keep: the contract that is served when they are made.
        limits: How much a build may take.
        retain: How many versions are kept; older ones are removed unless they are needed.
        shutdown: Of this process, which ends what is being made.
        episode_seconds: No episode lasts longer: so long a version is kept that began one.
        servers: That may run networks.
        activation: Sees to it that workers take what is activated; by default it is not waited for.

    Attributes:
        built: Is told of each build.
    """

    def __init__(
        self,
        store: Store,
        contracts: Contracts,
        limits: BuildLimits,
        retain: int = RETAINED_VERSIONS,
        shutdown: Shutdown | None = None,
        episode_seconds: float = 0.0,
        servers: EngineServers = NO_SERVERS,
        activation: Activation | None = None,
    ) -> None:
        self._servers = servers
        self._activation = activation or Activation(store, seconds=0.0)
        self._store = store
        self._contracts = contracts
        self._limits = limits
        self._retain, self._episode_seconds = retain, episode_seconds
        self._shutdown = shutdown or Shutdown()
        self.built: Built = lambda outcome, nanoseconds: None
        self._seats = threading.Semaphore(MOST_UPLOADS)

    def upload(
        self,
        files: Mapping[Part, ReadableFile],
        created_by: str = "",
        progress: Progress = logger.debug,
        activate: bool = True,
    ) -> VersionReport:
        """Make a version of new parts and the other parts of the one before.

        The one before is the version that waits for parts, if there is one and the new parts fit
        it, else the active one.

        Args:
            files: What is new: a part, or a model and its description.
            created_by: The user who uploads it.
            progress: Told what is being done, a few words at a time.
            activate: It decides from now on, if it is complete; else it is kept for that.

        Raises:
            UploadRejected, StoreFailed, Stopping, Overloaded: As `publish`.
        """
        with self._turn():
            before = self._store.active()
            made = self._made(files, created_by, progress, activate)
        return self._activation.settle(made, before)

    def _made(
        self,
        files: Mapping[Part, ReadableFile],
        created_by: str,
        progress: Progress,
        activate: bool,
    ) -> VersionReport:
        with contextlib.ExitStack() as stages:
            contract = self._contracts.served()
            waiting: list[tuple[Path, set[Part], BuildReport]] = []
            rejections: list[BuildReport] = []
            for base in self._bases(contract):
                for file in files.values():
                    file.seek(0)
                folder = stages.enter_context(self._store.stage())
                parts = self._gather(folder, contract, files, base)
                if known := self._known(folder, contract, parts):
                    return self._point(known, activate)
                report = self._build(folder, contract, list(files), progress)
                if report.ready:
                    return self._commit(folder, contract, parts, report, created_by, activate)
                if report.rejected is None:
                    waiting.append((folder, parts, report))
                else:
                    rejections.append(report)
            if waiting:
                folder, parts, report = waiting[0]
                return self._commit(folder, contract, parts, report, created_by, activate)
            raise rejections[0].rejection()

    def publish(
        self,
        bundle: Bundle,
        progress: Progress = logger.debug,
        created_by: str = "",
        activate: bool = True,
    ) -> VersionReport:
        """Make a version of a bundle alone, and activate it unless it is only to be kept.

        Raises:
            UploadRejected: It can never serve; nothing was changed.
            StoreFailed: The store cannot be written to; nothing was changed.
            Stopping, Overloaded: Nothing was changed; another worker or another time may do.
        """
        with self._turn(), self._store.stage() as folder:
            before, contract = self._store.active(), self._contract_of(bundle)
            gathered = self._gather(folder, contract, bundle.parts, None)
            if (known := self._known(folder, contract, gathered)) and known.complete:
                published = self._point(known, activate)
            else:
                report = self._build(folder, contract, list(bundle.parts), progress)
                report.raise_unless_ready()
                published = self._commit(folder, contract, gathered, report, created_by, activate)
            if bundle.schema is not None and published.state == "active":
                self._contracts.save(contract)
        return self._activation.settle(published, before)

    def check(self, bundle: Bundle, progress: Progress) -> BuildReport:
        """Build a bundle and report the outcome; save and activate nothing."""
        with self._turn(), self._store.stage() as folder:
            contract = self._contract_of(bundle)
            self._gather(folder, contract, bundle.parts, None)
            return self._build(folder, contract, list(bundle.parts), progress)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the store, once those who came before have done so."""
        if not self._seats.acquire(blocking=False):
            raise Overloaded(f"{MOST_UPLOADS} uploads are under way already: try again later.")
        try:
            with self._store.writing(self._shutdown.check):
                yield
        finally:
            self._seats.release()

    def _build(
        self, folder: Path, contract: Contract, uploaded: list[Part], progress: Progress
    ) -> BuildReport:
        parts = (folder, contract, uploaded, self._limits, progress, self._shutdown.check)
        return observed_build(self.built, *parts, self._servers)

    def _contract_of(self, bundle: Bundle) -> Contract:
        if bundle.schema is None:
            return self._contracts.served()
        return self._contracts.of_upload(bundle.schema, bundle.schema_file)

    def _bases(self, contract: Contract) -> list[str | None]:
        """Versions whose parts may be built on, the best first; None stands for no parts."""
        bases: list[str | None] = []
        for name in (self._store.candidate(), self._store.active()):
            if name is not None and name not in bases and self._usable(name, contract):
                bases.append(name)
        return bases or [None]

    def _usable(self, name: str, contract: Contract) -> bool:
        """It keeps the contract, and its parts are there."""
        try:
            manifest = self._store.manifest(name)
        except VersionNotFound:
            return False
        whole = all((self._store.folder(name) / part).is_dir() for part in manifest.parts)
        return whole and manifest.contract == contract.digest

    def _gather(
        self,
        folder: Path,
        contract: Contract,
        uploaded: Mapping[Part, ReadableFile],
        base: str | None,
    ) -> set[Part]:
        """Lay the contract, uploaded parts, and others of a version before into a folder."""
        self._contracts.put(contract, folder)
        for part, file in uploaded.items():
            (folder / part).mkdir()
            head = file.read(HEAD_BYTES)
            with (folder / part / name_by_content(part, head)).open("wb") as sink:
                sink.write(head)
                shutil.copyfileobj(file, sink)
        others: set[Part] = set()
        if base is not None:
            with contextlib.closing(self._store.use(base)):
                others = {Part(part) for part in self._store.manifest(base).parts} - set(uploaded)
                if Part.MODEL in uploaded:
                    # Another model gives other answers, and has other outputs.
                    others -= {Part.GOLDEN, Part.DESCRIPTION}
                self._store.copy_parts(base, others, folder)
        return others | set(uploaded)

    def _known(self, folder: Path, contract: Contract, parts: set[Part]) -> Manifest | None:
        """The version that was made of the same before, if there is one."""
        hashed = content_hash(folder, parts, uploaded_paths(folder, parts))
        return self._store.alike(
            contract.digest, hashed, lambda known: self._runs_alike(known, folder)
        )

    def _runs_alike(self, known: Manifest, folder: Path) -> bool:
        """The same files would make the same version now.

        An inference server may have another network by now; a SavedModel, a zip, follows a setting.
        """
        if known.engine is None or known.engine == OPEN_INFERENCE:
            return known.engine is None
        with uploaded_file(folder, Part.MODEL).open("rb") as file:
            follows = file.read(len(ZIP)) == ZIP
        wanted = self._limits.engine == TENSORFLOW_SERVING
        return not follows or (known.engine == TENSORFLOW_SERVING) == wanted

    def _commit(
        self,
        folder: Path,
        contract: Contract,
        parts: set[Part],
        report: BuildReport,
        created_by: str,
        activate: bool,
    ) -> VersionReport:
        for part in parts & set(report.missing):  # an old part that does not fit the new model
            shutil.rmtree(folder / part)
        manifest = self._store.commit(
            folder,
            contract=contract.digest,
            parts=(parts := parts - set(report.missing)),
            checks=[asdict(check) for check in report.checks],
            complete=report.ready,
            created_by=created_by,
            engine=read_description(folder / Part.MODEL).engine if report.ready else None,
            schema_hash=contract.schema.digest,
            uploaded=uploaded_paths(folder, parts),
        )
        pointed = self._point(manifest, activate)
        try:
            removed = ", ".join(self._store.prune(self._retain, self._episode_seconds))
            logger.info("removed old versions: %s", removed or "none")
        except PolicyServerError as error:  # the upload itself is safe
            logger.warning("old versions cannot be removed: %s", error)
        return pointed

    def _point(self, manifest: Manifest, activate: bool) -> VersionReport:
        """Let a version decide if it can and shall, else wait for parts or for being activated."""
        if manifest.complete and not activate and manifest.name != self._store.active():
            return told_of(manifest, "complete")
        if manifest.complete:
            self._store.activate(manifest.name)
        else:
            self._store.await_parts(manifest.name)
        return report_of(manifest)
