"""What a preprocessor's own process may take."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ProcessLimits:
    """What a preprocessor's process may take.

    Attributes:
        megabytes: Of memory of its own.
        files: Open at once.
        seconds: For one batch.
    """

    megabytes: int = 512
    files: int = 64
    seconds: float = 5.0

    def as_json(self) -> str:
        """The limits as one argument."""
        return json.dumps(asdict(self))
