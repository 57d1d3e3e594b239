"""What every reader can do."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.description import Description
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.limits import BuildLimits


@dataclass(frozen=True)
class ModelUpload:
    """A model's file, and all that decides what is made of it.

    Attributes:
        file: As it was uploaded.
        folder: The model's folder; gets what an engine runs.
        contract: Whose actions the model decides on.
        description: What is declared of it.
        limits: How much an archive may unpack to.
        progress: Called with what is being done.
        known: What is known of the features that the model will be given.
    """

    file: Path
    folder: Path
    contract: Contract
    description: Description
    limits: BuildLimits
    progress: Callable[[str], None]
    known: KnownFeatures = field(default_factory=KnownFeatures)


@dataclass(frozen=True)
class Reader:
    """Reads one format of models.

    Attributes:
        recognises: Tells by the first bytes of a file whether it is of this format.
        read: Makes what an engine runs; raises Undeclared where nothing says how the model's
            output is read, and UploadRejected, UnusableModel or EngineFailed where it cannot be
            served.
    """

    recognises: Callable[[bytes], bool]
    read: Callable[[ModelUpload], BuiltModel]
