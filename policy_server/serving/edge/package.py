"""Packages: all of a version that a program needs which asks no server, as one zip."""

import asyncio
import contextlib
import hashlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from policy_server.contract.contract import Contract
from policy_server.errors import (
    EngineFailed,
    ObservationError,
    PreprocessorFailed,
    UploadRejected,
    VersionConflict,
)
from policy_server.policy.engines.registry import ENGINES, ONNXRUNTIME
from policy_server.policy.families.family import NotFinite
from policy_server.policy.features import Features, Outcome
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.contracts import Contracts
from policy_server.serving.edge.action import ActionNumber, action_of
from policy_server.serving.edge.cases import GoldenAnswers, answered, questions_of
from policy_server.serving.edge.making import making_of
from policy_server.serving.edge.network import ports_of
from policy_server.serving.edge.rendering import files_of
from policy_server.store.store import Store
from policy_server.version.parts import Part
from policy_server.version.version_parts import VersionParts, read_network

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say."""
READABLE = 0o100644
CHUNK_BYTES = 1 << 20
NETWORK = ENGINES[ONNXRUNTIME].file


class Packages:
    """Makes the packages of a store's versions.

    One and the same version makes one and the same package, as long as ONNX Runtime and what
    templates say stay as they are.

    Args:
        store: Where versions lie.
        contracts: Know what they were proven against.
        limits: What recorded cases may unpack to, and how far numbers may lie apart.
        isolation: Of the process of an uploaded preprocessor; None runs it in this one.
    """

    def __init__(
        self,
        store: Store,
        contracts: Contracts,
        limits: BuildLimits,
        isolation: ProcessLimits | None,
    ) -> None:
        self._store = store
        self._contracts = contracts
        self._limits = limits
        self._isolation = isolation
        self._turn = asyncio.Lock()

    async def write(self, name: str, sink: BinaryIO) -> bytes:
        """Write the package of a version into an empty file, which can be read, too.

        Returns:
            SHA-256 of the whole file.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It lacks parts, is damaged, or has something that cannot travel.
            OSError: The file takes no more.
        """
        async with self._turn:  # each takes the memory of a network
            with contextlib.closing(self._store.use(name)):
                try:
                    packing = await asyncio.to_thread(self._begin, name)
                    outcome = await self._outcome(packing)
                    return await asyncio.to_thread(packing.write, outcome, sink)
                except (EngineFailed, UploadRejected, ObservationError, NotFinite) as error:
                    raise VersionConflict(f"Version {name} cannot travel: {error}") from error
                except PreprocessorFailed as error:
                    raise VersionConflict(
                        f"Version {name} cannot travel, as its golden cases cannot be made: the "
                        f"preprocessor fails: {error.cause}"
                    ) from error

    def _begin(self, name: str) -> "_Packing":
        manifest = self._store.manifest(name)
        if not manifest.complete:
            raise VersionConflict(f"Version {name} lacks parts: nothing is proven yet.")
        if (damage := self._store.damage(name)) is not None:
            raise VersionConflict(f"Version {name} is damaged: {damage}.")
        contract, folder = self._contracts.of(name), self._store.folder(name)
        return _Packing(name, folder, contract, self._limits)

    async def _outcome(self, packing: "_Packing") -> Outcome | None:
        """The features that uploaded code makes of the cases; None where there is none."""
        code, records = packing.parts.code, packing.records
        if code is None or self._isolation is None or not records:
            return None
        width = packing.parts.network.feature_width
        process = PreprocessorProcess(code, self._isolation, width)
        try:
            await process.start()
            return await process.run(records)
        finally:
            process.close()


class _Packing:
    """One package in the making.

    Args:
        name: Of the version.
        folder: The version's.
        contract: What it was proven against.
        limits: What recorded cases may unpack to, and how far numbers may lie apart.
    """

    def __init__(self, name: str, folder: Path, contract: Contract, limits: BuildLimits) -> None:
        self._name = name
        self._tolerance = limits.golden_tolerance
        self._contract = contract
        network = read_network(folder, contract)
        if (obstacle := _obstacle(network, contract)) is not None:
            raise VersionConflict(f"Version {name} cannot travel: {obstacle}")
        self._file = folder / Part.MODEL / NETWORK
        self._ports = ports_of(self._file, network.feature_width)
        self.parts = VersionParts.read(folder, network, contract)
        self._making = making_of(contract, self.parts)
        asked = (folder, contract, self._making, network.feature_width)
        self._questions = questions_of(*asked, limits.unpacked_bytes)
        self.records = self._questions.records(contract)

    def write(self, outcome: Outcome | None, sink: BinaryIO) -> bytes:
        """Write the package, from the features that code made of the records; its SHA-256."""
        parts, contract = self.parts, self._contract
        actions = action_of(contract.actions, parts.network, parts.mapper)
        mapper = parts.mapper if contract.actions.have_meanings else OutputMapper()
        policy = Policy(contract, parts.network, parts.engine, None, mapper)
        asked = (self._questions, self.records, self._features(outcome))
        golden = answered(policy, mapper, self._making, *asked)
        about = self._about(actions, golden)
        _write_zip(sink, self._file, files_of(about, self._ports, self._making, actions, golden))
        sink.seek(0)
        return hashlib.file_digest(sink, "sha256").digest()  # type: ignore[arg-type]

    def _features(self, outcome: Outcome | None) -> Features:
        if self._questions.features is not None:
            return self._questions.features
        if outcome is None:
            outcome = self.parts.preprocessor(self._contract).features(self.records)
        outcome.raise_for(0, len(self.records))
        return outcome.features

    def _about(self, actions: list[ActionNumber], golden: GoldenAnswers) -> dict[str, Any]:
        """What `policy.json` says."""
        source, target = self._ports
        making, width = self._making, golden.outputs.shape[1]
        with self._file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "version": self._name,
            "schema_hash": self._contract.schema.digest,
            "title": self._contract.title,
            "family": self.parts.network.family,
            "network": {
                "file": NETWORK,
                "sha256": digest,
                "input": {"name": source.name, "type": source.c_type, "shape": source.shape},
                "output": {"name": target.name, "type": target.c_type, "width": width},
            },
            "features": {
                "made": making.in_words,
                "steps": making.operations,
                "in_order": making.features,
            },
            "action": [each.as_json() for each in actions],
            "golden": {
                "origin": golden.questions.origin,
                "cases": len(golden.features),
                "tolerance": self._tolerance,
            },
        }


def _obstacle(network: Network, contract: Contract) -> str | None:
    """What of a version the examples of a package know nothing of; None where there is nothing."""
    if network.engine != ONNXRUNTIME:
        engine = ENGINES.get(network.engine)
        word = f"`{network.engine if engine is None else engine.word}`"
        return (
            f"its network is run by {word}, and what travels is a network that ONNX Runtime runs "
            "on a processor. Export the model as ONNX, and upload that."
        )
    if network.memory is not None:
        return (
            "its network has a memory, which goes from step to step, and the examples of a package "
            "carry none."
        )
    if contract.schema.masks:
        masks = ", ".join(f"`{mask.field}`" for mask in contract.schema.masks)
        return (
            f"its observations say which actions are allowed ({masks}), and the examples of a "
            "package know no masks."
        )
    return None


def _write_zip(sink: BinaryIO, network: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip of the network, as it is, and of the other files."""
    with zipfile.ZipFile(sink, "w") as archive:
        for path in sorted({NETWORK, *files}):
            member = zipfile.ZipInfo(path, LONG_AGO)
            member.external_attr = READABLE << 16
            member.create_system = 3  # Unix, whatever this machine is
            if path == NETWORK:  # weights hardly compress
                member.file_size = network.stat().st_size
                with network.open("rb") as source, archive.open(member, "w") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
            else:
                archive.writestr(member, files[path], zipfile.ZIP_DEFLATED)
