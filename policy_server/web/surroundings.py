"""What stands between clients and the server, as settings say it."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from starlette.types import Scope

from policy_server.contract.policy_names import DEFAULT

PEER = "policy_server.peer"
"""In the extensions of a scope: address and port of who really connected."""


@dataclass(frozen=True)
class Surroundings:
    """What stands between clients and the server.

    Attributes:
        origins: Of which pages may ask from a browser, as browsers write them.
        prefix: Path below which a proxy shows the server; empty, or `/policy`.
        below: Path of one of several policies below that, `/policies/NAME`; empty for the default.
        proxies: Addresses whose word on a client counts.
        model: How clients of inference servers call the policy.
        documentation: Where people read about it; empty where nobody has said so.
    """

    origins: tuple[bytes, ...] = ()
    prefix: str = ""
    below: str = ""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    model: str = DEFAULT
    documentation: str = ""

    def trust(self, scope: Scope) -> bool:
        """Whether one of the proxies connected; none has where the server does not say who did."""
        peer = scope.get("extensions", {}).get(PEER)
        try:
            address = ip_address(peer[0]) if peer else None
        except ValueError:
            return False
        return address is not None and any(address in network for network in self.proxies)


ALONE = Surroundings()
"""Clients ask the server itself, at its own paths."""
