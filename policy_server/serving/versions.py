"""All versions: what they are, which of them serve where, and the going back to one of them."""

import contextlib
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from policy_server.contract.contract import Contract
from policy_server.errors import (
    DifferingCase,
    UploadRejected,
    VersionConflict,
    VersionNotFound,
)
from policy_server.policy.engines.registry import ENGINES
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.proving.build import Progress, verify
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport, Check, checks_from
from policy_server.serving.activation import Activation
from policy_server.serving.contracts import Contracts
from policy_server.serving.version_report import VersionReport, report_of
from policy_server.store.manifest import Manifest
from policy_server.store.store import Store
from policy_server.version.parts import Part

logger = logging.getLogger(__name__)

State = Literal["active", "complete", "incomplete"]


class Version(msgspec.Struct, omit_defaults=True):
    """One version, as `GET /versions` shows it.

    Attributes:
        created: RFC 3339.
        engine: What runs its network; missing where it has none.
        hash: SHA-256 over what was uploaded.
        schema_hash: SHA-256 of the observation schema that it was proven against.
        bytes: Size of its files on disk.
        workers: How many workers decide with it now.
    """

    version: str
    state: State
    created: str
    created_by: str
    parts: tuple[str, ...]
    checks: tuple[Check, ...]
    bytes: int
    hash: str
    schema_hash: str
    workers: int
    engine: str | None = None


class ServingWorker(msgspec.Struct, omit_defaults=True):
    """One worker, as `GET /versions` shows it; see Worker."""

    pid: int
    version: str | None
    fault: str | None = None


@dataclass(frozen=True)
class VersionList:
    """All versions and workers.

    Attributes:
        versions: Oldest first.
    """

    active: str | None
    versions: list[Version]
    workers: list[ServingWorker]


class FieldError(msgspec.Struct, frozen=True):
    """One field of a golden case."""

    pointer: str
    detail: str


@dataclass(frozen=True)
class Verification:
    """What a replay of a version's golden cases found.

    Attributes:
        passed: All of them agree.
        errors: The worst case, field by field, where one does not.
        cases: Those that do not.
    """

    version: str
    passed: bool
    checks: list[Check]
    errors: list[FieldError]
    cases: list[DifferingCase]


class Versions:
    """What can be asked of, and done to, versions that are there.

    Args:
        store: Where they lie.
        contracts: Know what they were proven against.
        limits: How much a replay of golden cases may take.
        servers: That may run networks.
        activation: As of a Publisher.
    """

    def __init__(
        self,
        store: Store,
        contracts: Contracts,
        limits: BuildLimits,
        servers: EngineServers = NO_SERVERS,
        activation: Activation | None = None,
    ) -> None:
        self._activation = activation or Activation(store, seconds=0.0)
        self._servers = servers
        self._store = store
        self._contracts = contracts
        self._limits = limits

    def list(self) -> VersionList:
        """All sound versions and living workers."""
        active, workers = self._store.active(), self._store.workers()
        versions = []
        for name in self._store.names():
            try:
                manifest = self._store.manifest(name)
            except VersionNotFound:
                continue  # removed meanwhile, or damaged
            serving = sum(worker.version == name for worker in workers)
            versions.append(_version(manifest, active, serving))
        told = [ServingWorker(each.pid, each.version, each.fault) for each in workers]
        return VersionList(active, versions, told)

    def activate(self, name: str) -> VersionReport:
        """Let a version decide from now on.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It lacks parts, is damaged, or its contract is not at hand.
            StoreFailed: The store cannot be written to.
        """
        manifest = self._store.manifest(name)
        self._contracts.of(name)
        damage = self._store.damage(name)
        if damage is not None:
            raise VersionConflict(f"Version {name} is damaged: {damage}. Upload its parts again.")
        before = self._store.active()
        self._store.activate(name)
        return self._activation.settle(report_of(manifest), before)

    def hash_of(self, name: str) -> str:
        """SHA-256 over what was uploaded for a version.

        Raises:
            VersionNotFound: There is no such version.
        """
        return self._store.manifest(name).hash

    def verify(self, name: str, progress: Progress = logger.debug) -> Verification:
        """Replay the golden cases of a version, active or not, in a process of its own.

        Args:
            name: Of the version.
            progress: Told what is being done, a few words at a time.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It has no golden cases, lacks parts, or its contract is not at hand.
        """
        with contextlib.closing(self._store.use(name)):
            manifest, contract = self._store.manifest(name), self._contracts.of(name)
            if Part.GOLDEN not in manifest.parts:
                raise VersionConflict(
                    f"Version {name} has no golden cases: publish it with some, as `golden_file`."
                )
            if not manifest.complete:
                raise VersionConflict(f"Version {name} lacks parts and cannot decide.")
            report = self._replayed(self._store.folder(name), contract, progress)
        errors = [FieldError(fault.place, fault.detail) for fault in report.faults]
        passed = all(check.passed for check in report.checks)
        return Verification(name, passed, report.checks, errors, report.cases)

    def _replayed(self, folder: Path, contract: Contract, progress: Progress) -> BuildReport:
        try:
            report = verify(folder, contract, self._limits, progress, self._servers)
        except UploadRejected as error:  # the process died, or took too long
            report = BuildReport()
            report.reject(error)
        if report.rejected is not None:
            report.checks.append(Check("golden cases", False, report.rejected))
        return report

    def delete(self, name: str) -> None:
        """Remove a version that is not needed.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It is active, waits for parts, or is in use.
            StoreFailed: The store cannot be written to.
        """
        self._store.delete(name)


def _version(manifest: Manifest, active: str | None, workers: int) -> Version:
    state: State = "complete" if manifest.complete else "incomplete"
    return Version(
        version=manifest.name,
        state="active" if manifest.name == active else state,
        created=datetime.fromtimestamp(manifest.created, UTC).isoformat(timespec="seconds"),
        created_by=manifest.created_by,
        parts=manifest.parts,
        checks=tuple(checks_from(manifest.checks)),
        bytes=manifest.bytes,
        hash=manifest.hash,
        schema_hash=manifest.schema_hash,
        workers=workers,
        engine=ENGINES[manifest.engine].word if manifest.engine in ENGINES else None,
    )
