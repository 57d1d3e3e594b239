"""What the folder of a version holds, read back."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from policy_server.contract.contract import Contract
from policy_server.policy.engines.engine import Engine
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessing.reading import read_declaration
from policy_server.policy.preprocessor import Preprocessor, SchemaPreprocessor, UploadedPreprocessor
from policy_server.policy.timing import Timing
from policy_server.version.network_description import NetworkDescription
from policy_server.version.old_form import (
    has_old_facts,
    has_old_network,
    read_old_facts,
    read_old_network,
)
from policy_server.version.parts import TIMING_FILE, Part, is_declared, uploaded_file

UNMEASURED = Timing()
LoadEngine = Callable[[Network, Path], Engine]


def loaded_here(network: Network, model: Path) -> Engine:
    """What runs a network, in this process."""
    return network.load_engine(model)


@dataclass(frozen=True)
class VersionParts:
    """The parts of a version.

    Attributes:
        network: What its model is.
        engine: Runs the model.
        mapper: What actions mean; numbers where none was uploaded.
        code: The preprocessor's file, where it is code.
        declaration: The preprocessor's file, where it is a declaration.
    """

    network: Network
    engine: Engine
    mapper: OutputMapper
    code: Path | None
    declaration: Path | None

    @classmethod
    def read(
        cls, folder: Path, network: Network, contract: Contract, load: LoadEngine = loaded_here
    ) -> "VersionParts":
        """Read all parts but the network's description, which is known already.

        Args:
            folder: The version's.
            network: What is known of its network.
            contract: What it was proven against.
            load: Makes what runs the network, of that and the model's folder.
        """
        engine = load(network, folder / Part.MODEL)
        mapper = read_mapper(folder, contract)
        file = uploaded_file(folder, Part.PREPROCESSOR)
        if is_declared(folder):
            return cls(network, engine, mapper, None, file)
        return cls(network, engine, mapper, file if file.is_file() else None, None)

    def preprocessor(self, contract: Contract) -> Preprocessor:
        """The preprocessor in this process, where uploaded code runs then."""
        if self.declaration is not None:
            declaration = read_declaration(self.declaration, contract.schema)
            return DeclaredPreprocessor(contract.schema, declaration)
        if self.code is None:
            return SchemaPreprocessor(contract.schema)
        return UploadedPreprocessor(self.code, contract.decoder.to_dict, self.network.feature_width)


def read_network(folder: Path, contract: Contract) -> Network:
    """What is known of the network of a complete version.

    Args:
        folder: The version's.
        contract: What it was proven against.

    Raises:
        OSError, ValueError, LookupError: A description is missing or damaged.
        UploadRejected: The output mapper is damaged.
    """
    if has_old_network(folder):
        return read_old_network(folder)
    described = read_description(folder / Part.MODEL)
    sizes = known_sizes(described, contract) or _declared_sizes(folder, contract)
    timing = msgspec.json.decode((folder / TIMING_FILE).read_bytes(), type=Timing)
    return network_of(described, sizes, timing)


def read_description(model: Path) -> NetworkDescription:
    """The description of a model, from its folder.

    Raises:
        Undescribed: It was never found out how the model's output is read.
        OSError, ValueError, LookupError: It is missing or damaged.
    """
    return read_old_facts(model) if has_old_facts(model) else NetworkDescription.read(model)


def read_mapper(folder: Path, contract: Contract) -> OutputMapper:
    """The output mapper of a version; what the schema says of actions where none was uploaded."""
    meanings = uploaded_file(folder, Part.OUTPUT_MAPPER)
    if meanings.is_file():
        return read_output_mapper(meanings)
    return OutputMapper.of(contract.actions.declared)


def write_timing(folder: Path, timing: Timing) -> None:
    """Save in a version's folder how long its parts take."""
    (folder / TIMING_FILE).write_text(json.dumps(asdict(timing)), encoding="utf-8")


def known_sizes(described: NetworkDescription, contract: Contract) -> tuple[int, ...] | None:
    """Sizes of the heads, or dimensions; None where they have to be declared."""
    actions = contract.actions
    if described.sizes is None and not actions.tuple and actions.declared is None:
        return (described.output_width,)
    return described.sizes


def _declared_sizes(folder: Path, contract: Contract) -> tuple[int, ...]:
    """As a build proved them: those of the schema's actions, or else of the output mapper."""
    declared = contract.actions.sizes
    return tuple(read_mapper(folder, contract).sizes if declared is None else declared)


def network_of(
    described: NetworkDescription, sizes: tuple[int, ...], timing: Timing = UNMEASURED
) -> Network:
    """The network of a version whose heads have these sizes."""
    return Network(
        described.engine,
        described.feature_width,
        described.family,
        sizes,
        timing,
        described.output,
        described.action_range,
        described.parameters,
        described.memory,
    )
