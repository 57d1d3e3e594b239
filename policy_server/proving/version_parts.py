"""What the folder of a version holds, read back."""

from dataclasses import dataclass
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.policy import output_mapper, preprocessor
from policy_server.policy.engines.engine import Engine
from policy_server.policy.network import Network
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper
from policy_server.policy.preprocessor import Preprocessor, SchemaPreprocessor, UploadedPreprocessor
from policy_server.proving.report import Part


@dataclass(frozen=True)
class VersionParts:
    """The parts of a version.

    Attributes:
        network: What its model is.
        engine: Runs the model.
        mapper: What actions mean; numbers where none was uploaded.
        uploaded: The preprocessor's file, None where none was uploaded.
    """

    network: Network
    engine: Engine
    mapper: OutputMapper
    uploaded: Path | None

    @classmethod
    def read(cls, folder: Path, network: Network) -> "VersionParts":
        """Read all parts but the network's description, which is known already."""
        uploaded = folder / Part.PREPROCESSOR / preprocessor.FILE
        meanings = folder / Part.OUTPUT_MAPPER / output_mapper.FILE
        return cls(
            network,
            network.load_engine(folder / Part.MODEL),
            read_output_mapper(meanings) if meanings.is_file() else OutputMapper(),
            uploaded if uploaded.is_file() else None,
        )

    def preprocessor(self, contract: Contract) -> Preprocessor:
        """The preprocessor in this process, where uploaded code runs then."""
        if self.uploaded is None:
            return SchemaPreprocessor(contract.schema)
        return UploadedPreprocessor(
            self.uploaded, contract.decoder.to_dict, self.network.feature_width
        )
