"""Versions from one server to another: what was proven there is what is served here."""

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from policy_server.contract.changes import changes
from policy_server.contract.contract import Contract, ContractFile
from policy_server.errors import Fault, SchemaError, UploadRejected, VersionConflict
from policy_server.proving.build import Progress
from policy_server.proving.report import BuildReport, Check, checks_from
from policy_server.resources import COMMAND
from policy_server.serving.bundle import ReadableFile
from policy_server.serving.publication import Publisher, logger
from policy_server.serving.server_key import ServerKey
from policy_server.serving.signed_archive import Signed, check_archive, write_archive
from policy_server.serving.unpacking import unpack
from policy_server.serving.version_report import VersionReport
from policy_server.store import manifest
from policy_server.store.manifest import Manifest
from policy_server.store.store import Store
from policy_server.version.parts import Part

TRUSTED = "POLICY_SERVER_TRUSTED_KEYS"
COPY = "copy"
"""The check that says where a version comes from."""


@dataclass(frozen=True)
class Arrived:
    """An archive that is signed by a server that is trusted.

    Attributes:
        file: The archive.
        signed: By whom.
    """

    file: BinaryIO
    signed: Signed


class Copies:
    """Makes the archives of a store's versions, and knows whose are taken.

    Args:
        store: Where versions lie.
        key: Of this server, which is made when it is first wanted.
        trusted: Fingerprints of the keys of other servers.
    """

    def __init__(
        self, store: Store, key: Callable[[], ServerKey], trusted: tuple[str, ...] = ()
    ) -> None:
        self._store = store
        self._key = key
        self._trusted = trusted

    def write(self, name: str, sink: BinaryIO) -> Signed:
        """Write the archive of a version into an empty file.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It lacks parts, is damaged, or an old release has made it.
            StoreFailed: The key of this server cannot be kept.
            OSError: The file takes no more.
        """
        with contextlib.closing(self._store.use(name)):
            kept = self._store.manifest(name)
            if not kept.complete:
                raise VersionConflict(f"Version {name} lacks parts: nothing is proven yet.")
            if not kept.files:
                raise VersionConflict(
                    f"Version {name} was made by an old release, which knew no hashes of files: "
                    "publish its parts again, and copy that version."
                )
            damage = self._store.damage(name)
            if damage is not None:
                raise VersionConflict(f"Version {name} is damaged: {damage}.")
            paths = [*kept.files, manifest.FILE]
            return write_archive(sink, self._store.folder(name), paths, self._key())

    def checked(self, file: BinaryIO) -> Arrived:
        """Make sure of whose an archive is.

        Raises:
            UploadRejected: It is damaged, or signed by a server that is not trusted.
            StoreFailed: The key of this server cannot be kept.
        """
        signed = check_archive(file)
        if signed.fingerprint not in self._trusted:
            own = self._key().fingerprint
            if signed.fingerprint != own:
                raise UploadRejected(
                    f"The archive is signed with the key {signed.fingerprint}, which is not "
                    f"trusted here. If `{COMMAND} fingerprint` says so at the server where it was "
                    f"made, add it to {TRUSTED}, and start this server again."
                )
        return Arrived(file, signed)


class Receiver(Publisher):
    """A publisher that takes versions of other servers, too."""

    def receive(
        self,
        arrived: Arrived,
        activate: bool = False,
        created_by: str = "",
        progress: Progress = logger.debug,
    ) -> VersionReport:
        """Make a version of an archive, as it was built where it comes from.

        It is tried here as all versions are. Where the same is there already, that is found again.

        Args:
            arrived: The archive.
            activate: Let it decide, if it can.
            created_by: The user who brings it.
            progress: Told what is being done, a few words at a time.

        Raises:
            UploadRejected: It cannot serve here; nothing was changed.
            StoreFailed: The store cannot be written to; nothing was changed.
            Stopping, Overloaded: Nothing was changed; another worker or another time may do.
        """
        with self._turn(), self._store.stage() as beside, self._store.stage() as folder:
            before = self._store.active()
            progress("unpacking the archive")
            came = unpack(_laid(arrived.file, beside), folder, self._limits)
            contract, is_first = self._contract_for(folder, came), self._contracts.are_none()
            self._contracts.put(contract, folder)
            parts = {Part(part) for part in came.parts}
            if (known := self._known(folder, contract, parts)) and known.complete:
                received = self._point(known, activate)
            else:
                report = self._build(folder, contract, [], progress)
                report.raise_unless_ready()
                told = _with_its_proof(report, came, arrived.signed.fingerprint)
                received = self._commit(folder, contract, parts, told, created_by, activate)
            if is_first:
                self._contracts.save(contract)
        return self._activation.settle(received, before) if activate else received

    def _contract_for(self, folder: Path, came: Manifest) -> Contract:
        """The contract that is served, which must be the archive's; its own where there is none."""
        try:
            its_own = ContractFile.read(folder).resolve()
        except SchemaError as error:
            raise UploadRejected(f"The archive has no sound contract: {error}") from error
        if its_own.digest != came.contract:
            raise UploadRejected("The archive's contract is not what its version was proven with.")
        if self._contracts.are_none():
            return its_own
        served = self._contracts.served()
        if its_own.digest == served.digest:
            return served
        faults = changes(served.schema, its_own.schema)
        if served.actions != its_own.actions:
            here, there = served.actions.words, its_own.actions.words
            told = (
                f"are {there} there, and {here} here" if here != there else "are declared otherwise"
            )
            faults.append(Fault("actions", f"{told}."))
        raise UploadRejected(
            f"Version {came.name} was proven with another schema than the one that is served here: "
            "publish its folder with that schema, or copy it to a policy that has it.",
            faults,
        )


def _laid(file: BinaryIO | ReadableFile, folder: Path) -> Path:
    """The archive as a file with a path."""
    path = folder / "archive"
    file.seek(0)
    with path.open("xb") as sink:
        shutil.copyfileobj(file, sink)
    return path


def _with_its_proof(report: BuildReport, came: Manifest, fingerprint: str) -> BuildReport:
    """What was found here, what was proven there beside that, and where that was."""
    found = {check.name for check in report.checks}
    before = [check for check in checks_from(came.checks) if check.name not in {*found, COPY}]
    where = f"version {came.name} of the server with the key {fingerprint}, which signed it"
    return replace(report, checks=[Check(COPY, True, where), *before, *report.checks])
