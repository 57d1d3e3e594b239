"""What every reader can do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from policy_server.contract.contract import Contract
from policy_server.proving.built_model import BuiltModel
from policy_server.proving.converted import Converted
from policy_server.proving.description import Description
from policy_server.proving.known_features import KnownFeatures
from policy_server.proving.limits import BuildLimits
from policy_server.proving.remote_engines import NO_ENGINES, RemoteEngines


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
        engines: Whose networks other servers run.
    """

    file: Path
    folder: Path
    contract: Contract
    description: Description
    limits: BuildLimits
    progress: Callable[[str], None]
    known: KnownFeatures = field(default_factory=KnownFeatures)
    engines: RemoteEngines = NO_ENGINES


@dataclass(frozen=True)
class Marks:
    """What the format of a file is told by.

    Attributes:
        head: Its first bytes.
        members: Names of its members, where it is a zip.
    """

    head: bytes
    members: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Inspection:
    """What a file says of itself.

    Attributes:
        format: What it is, in words.
        inputs: Name, type and shape of each input.
        outputs: Likewise of each output.
        metadata: What its exporter wrote beside the network.
        bounds: Of each number of an action; None where the file does not tell them.
    """

    format: str
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    bounds: Sequence[tuple[float, float]] | None = None


@dataclass(frozen=True)
class Reader:
    """Reads one format of models.

    Attributes:
        recognises: Tells by the first bytes of a file whether it is of this format.
        read: Makes what an engine runs; raises Undeclared where nothing says how the model's
            output is read, and UploadRejected, UnusableModel or EngineFailed where it cannot be
            served.
        inspect: Looks at a file without serving it; raises as `read` does.
    """

    recognises: Callable[[bytes], bool]
    read: Callable[[ModelUpload], BuiltModel]
    inspect: Callable[[ModelUpload], Inspection]


@dataclass(frozen=True)
class Converter:
    """Turns files of one format into files of another, which a reader reads.

    Attributes:
        recognises: Tells by the marks of a file whether it is of this format.
        convert: Writes what it makes into a folder that is there for the build alone; raises
            as `read` of a reader does.
    """

    recognises: Callable[[Marks], bool]
    convert: Callable[[ModelUpload, Path], Converted]
