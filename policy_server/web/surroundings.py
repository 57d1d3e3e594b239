"""What stands between clients and the server, as settings say it."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True)
class Surroundings:
    """What stands between clients and the server.

    Attributes:
        origins: Of which pages may ask from a browser, as browsers write them.
        prefix: Path below which a proxy shows the server; empty, or `/policy`.
        proxies: Addresses whose word on that counts.
    """

    origins: tuple[bytes, ...] = ()
    prefix: str = ""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
