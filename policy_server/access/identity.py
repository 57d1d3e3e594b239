"""Who asks."""

import math
from dataclasses import dataclass, field
from typing import Literal

from policy_server.contract.operations import Role


@dataclass(frozen=True, slots=True)
class Identity:
    """A client whose credentials were accepted.

    Attributes:
        name: Of the user or of the key, or the subject of a token; never a secret.
        kind: What proves it.
        role: What they may do.
        expires: When the proof is worth nothing any more, in seconds since 1970.
    """

    name: str
    kind: Literal["user", "key", "token", "certificate"]
    role: Role
    expires: float = field(default=math.inf, compare=False)

    def __str__(self) -> str:
        """As logs and versions name them: `alice`, `key ci`."""
        return self.name if self.kind == "user" else f"{self.kind} {self.name}"
