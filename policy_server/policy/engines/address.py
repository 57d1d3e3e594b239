"""Where another server is reached, as its URL says."""

from typing import NamedTuple
from urllib.parse import urlsplit


class Address(NamedTuple):
    """Where a server is reached.

    Attributes:
        host: A name or an address.
        port: Of TCP.
        tls: It speaks HTTPS.
        path: Before every path, without a slash at its end.
    """

    host: str
    port: int
    tls: bool
    path: str

    @classmethod
    def of(cls, url: str) -> "Address":
        """The address in a URL; raises ValueError where it is none of HTTP."""
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError(f"{url!r} is no URL of a server: http://HOST:PORT is wanted")
        if parts.query or parts.fragment:
            raise ValueError(f"{url!r} has a query or a fragment: leave it out")
        return cls(parts.hostname, port, parts.scheme == "https", parts.path.rstrip("/"))

    @property
    def shown(self) -> str:
        """As the header Host and the log have it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
