"""A model on another server, as the version that it decides for knows it."""

from pathlib import Path

import msgspec

from policy_server.errors import EngineFailed

FILE, WIDTHS_FILE = "model.json", "widths.json"


class Tensor(msgspec.Struct, frozen=True):
    """An input or an output.

    Attributes:
        shape: -1 where an axis is open.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


class ServedModel(msgspec.Struct, frozen=True):
    """A model of an inference server.

    Attributes:
        server: Its name among those that the settings know.
        model: Its name there.
        version: Its version there; empty where that server has none.
        input: What it takes the features as; None before that is known.
        output: What it gives the distribution inputs as; None before that is known.
        rows: Of one request at most.
    """

    server: str
    model: str
    version: str = ""
    input: Tensor | None = None
    output: Tensor | None = None
    rows: int = 1

    def write(self, folder: Path) -> None:
        """Save it in a folder."""
        (folder / FILE).write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, folder: Path) -> "ServedModel":
        """What a folder holds; raises EngineFailed where it is damaged."""
        try:
            return msgspec.json.decode((folder / FILE).read_bytes(), type=cls)
        except (OSError, ValueError) as error:
            raise EngineFailed(f"{folder.name}/{FILE} is damaged: {error}") from error


class Widths(msgspec.Struct, frozen=True):
    """What a network takes and gives, for each row.

    Attributes:
        features: F.
        outputs: W.
    """

    features: int
    outputs: int

    def write(self, folder: Path) -> None:
        """Save it in a folder."""
        (folder / WIDTHS_FILE).write_bytes(msgspec.json.encode(self))

    @classmethod
    def read(cls, folder: Path) -> "Widths":
        """What a folder holds; raises EngineFailed where it is damaged."""
        try:
            return msgspec.json.decode((folder / WIDTHS_FILE).read_bytes(), type=cls)
        except (OSError, ValueError) as error:
            raise EngineFailed(f"{folder.name}/{WIDTHS_FILE} is damaged: {error}") from error
