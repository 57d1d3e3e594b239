"""From uploaded parts to a version: staged, built, committed, activated if it is complete."""

import contextlib
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from policy_server.build import golden
from policy_server.build.build import Progress, build
from policy_server.build.limits import BuildLimits
from policy_server.build.report import BuildReport, Check, Part
from policy_server.contract.contract import Contract
from policy_server.errors import SchemaError, UploadRejected, VersionNotFound
from policy_server.policy import output_mapper, preprocessor
from policy_server.serving.bundle import Bundle, ReadableFile
from policy_server.serving.contracts import Contracts
from policy_server.store.store import Store

FILES = {
    Part.MODEL: "upload",
    Part.PREPROCESSOR: preprocessor.FILE,
    Part.OUTPUT_MAPPER: output_mapper.FILE,
    Part.GOLDEN: golden.FILE,
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VersionReport:
    """What became of an upload.

    Attributes:
        version: Name of the version that was made.
        state: Whether it decides now, or waits for further parts.
        checks: What its build found out.
    """

    version: str
    state: Literal["active", "incomplete"]
    checks: tuple[Check, ...]


class Publisher:
    """Makes versions of uploads.

    Args:
        store: Where versions go.
        contracts: Know what they must keep: the contract that is served when they are made.
        limits: How much a build may take.
    """

    def __init__(self, store: Store, contracts: Contracts, limits: BuildLimits) -> None:
        self._store = store
        self._contracts = contracts
        self._limits = limits

    def upload(self, part: Part, file: ReadableFile) -> VersionReport:
        """Make a version of one new part and the other parts of the one before.

        The one before is the version that waits for parts, if there is one and the new part fits
        it, else the active one.

        Raises:
            UploadRejected: The part can never serve; nothing was changed.
        """
        with self._store.writing(), contextlib.ExitStack() as stages:
            contract = self._contracts.served()
            waiting: list[tuple[Path, set[Part], BuildReport]] = []
            rejections: list[BuildReport] = []
            for base in self._bases(contract):
                file.seek(0)
                folder = stages.enter_context(self._store.stage())
                parts = self._gather(folder, contract, {part: file}, base)
                report = build(folder, contract, [part], self._limits, logger.debug)
                if report.ready:
                    return self._commit(folder, contract, parts, report)
                if report.rejected is None:
                    waiting.append((folder, parts, report))
                else:
                    rejections.append(report)
            if waiting:
                folder, parts, report = waiting[0]
                return self._commit(folder, contract, parts, report)
            raise UploadRejected(rejections[0].rejected or "", rejections[0].faults)

    def publish(self, bundle: Bundle, progress: Progress = logger.debug) -> VersionReport:
        """Make a version of a bundle alone, and activate it.

        Raises:
            UploadRejected: It can never serve; nothing was changed.
        """
        with self._store.writing(), self._store.stage() as folder:
            contract = self._contract_of(bundle)
            gathered = self._gather(folder, contract, bundle.parts, None)
            report = build(folder, contract, list(bundle.parts), self._limits, progress)
            report.raise_unless_ready()
            published = self._commit(folder, contract, gathered, report)
            if bundle.schema is not None:
                self._contracts.keep(contract)
            return published

    def check(self, bundle: Bundle, progress: Progress) -> BuildReport:
        """Build a bundle and tell what comes of it; keep and activate nothing."""
        with self._store.writing(), self._store.stage() as folder:
            contract = self._contract_of(bundle)
            self._gather(folder, contract, bundle.parts, None)
            return build(folder, contract, list(bundle.parts), self._limits, progress)

    def _contract_of(self, bundle: Bundle) -> Contract:
        if bundle.schema is None:
            return self._contracts.served()
        try:
            return self._contracts.of_schema(bundle.schema.decode(), bundle.schema_file)
        except SchemaError as error:
            raise UploadRejected(error.summary, error.faults) from error
        except UnicodeDecodeError as error:
            raise UploadRejected(f"{bundle.schema_file} is not UTF-8: {error}.") from error

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
        folder = self._store.folder(name)
        whole = all((folder / part).is_dir() for part in manifest.parts)
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
            with (folder / part / FILES[part]).open("wb") as sink:
                shutil.copyfileobj(file, sink)
        others: set[Part] = set()
        if base is not None:
            others = {Part(part) for part in self._store.manifest(base).parts} - set(uploaded)
            if Part.MODEL in uploaded:
                others.discard(Part.GOLDEN)  # another model gives other answers
            self._store.copy_parts(base, others, folder)
        return others | set(uploaded)

    def _commit(
        self, folder: Path, contract: Contract, parts: set[Part], report: BuildReport
    ) -> VersionReport:
        for part in parts & set(report.missing):  # an old part that does not fit the new model
            shutil.rmtree(folder / part)
        manifest = self._store.commit(
            folder,
            contract=contract.digest,
            parts=parts - set(report.missing),
            checks=[asdict(check) for check in report.checks],
            complete=report.ready,
        )
        if report.ready:
            self._store.activate(manifest.name)
        else:
            self._store.await_parts(manifest.name)
        state: Literal["active", "incomplete"] = "active" if report.ready else "incomplete"
        return VersionReport(manifest.name, state, tuple(report.checks))
