"""Failed attempts, counted by address and account, and how long the next one has to wait.

Each count runs out with time, and memory is bounded: what was not touched for longest is dropped.
Nothing here is asked for credentials that were accepted from their address before, so nobody who is
at work is kept out; and an address that never failed may always try, so nobody keeps out others.
"""

import ipaddress
import time
from collections import OrderedDict
from typing import NamedTuple

MOST_COUNTS = 10_000
IPV6_NETWORK_BITS = 64
"""What one customer of a provider has at least."""


class Pace(NamedTuple):
    """How many failures are free, and after how many seconds one is forgotten."""

    free: float
    seconds: float


OF_ONE = Pace(20, 6.0)
"""Of one account from one address."""
OF_ONE_ATTACKED = Pace(2, 6.0)
"""The same, while the account is guessed at from many addresses."""
OF_ADDRESS = Pace(50, 1.0)
"""Of one address, whatever the account."""
OF_ACCOUNT = Pace(100, 6.0)
"""Of one account, from all addresses together."""


class Counts:
    """Counts that run out, for the keys that were touched last."""

    def __init__(self, most: int = MOST_COUNTS) -> None:
        self._most = most
        self._counts: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def now(self, key: object, pace: Pace) -> float:
        """What is left of a count."""
        count, then = self._counts.get(key, (0.0, 0.0))
        return max(count - (time.monotonic() - then) / pace.seconds, 0.0)

    def add(self, key: object, pace: Pace) -> float:
        """Count one more; returns what was left before."""
        before = self.now(key, pace)
        self._counts[key] = before + 1, time.monotonic()
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return before

    def clear(self, key: object) -> None:
        """Forget a count."""
        self._counts.pop(key, None)


class Failures:
    """The failed attempts of one worker."""

    def __init__(self) -> None:
        self._ones, self._addresses, self._accounts = Counts(), Counts(), Counts()

    def wait(self, address: str, account: str) -> float:
        """Seconds until this account may be tried from this address; 0 for now.

        Args:
            address: Of the client.
            account: Name of the user; empty for keys, which are too long to be guessed.
        """
        network = network_of(address)
        attacked = self._accounts.now(account, OF_ACCOUNT) >= OF_ACCOUNT.free
        one = OF_ONE_ATTACKED if account and attacked else OF_ONE
        return max(
            _wait(self._ones.now((network, account), one), one),
            _wait(self._addresses.now((network, bool(account)), OF_ADDRESS), OF_ADDRESS),
        )

    def add(self, address: str, account: str) -> bool:
        """Count a failure; whether it is one of few, and is worth a line in the log."""
        network = network_of(address)
        self._addresses.add((network, bool(account)), OF_ADDRESS)
        if account:
            self._accounts.add(account, OF_ACCOUNT)
        return self._ones.add((network, account), OF_ONE) <= OF_ONE.free - 1

    def forgive(self, address: str, account: str) -> None:
        """Forget what failed before the right password came."""
        self._ones.clear((network_of(address), account))


def network_of(address: str) -> str:
    """What is counted as one address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if found.version == 4:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), IPV6_NETWORK_BITS), strict=False))


def _wait(count: float, pace: Pace) -> float:
    return max(count - (pace.free - 1), 0.0) * pace.seconds
