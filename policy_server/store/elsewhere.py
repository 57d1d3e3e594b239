"""Where a store keeps what several machines share."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Elsewhere:
    """A place that other machines know too.

    Attributes:
        address: Its URL, without a slash at the end.
        seconds: Most for one request to it.
    """

    address: str
    seconds: float = 10.0

    def below(self, *names: str) -> "Elsewhere":
        """A place below this one."""
        return Elsewhere("/".join((self.address, *names)), self.seconds)
