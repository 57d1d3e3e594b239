"""Load: a running server is asked for decisions, by many clients or at a rate, and measured."""

import asyncio
import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import httpx

from policy_server.contract.operations import BASE_PATH, OPERATIONS, VERSION_HEADER
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import RequestFailed

OBSERVATIONS = 1_000
"""Different ones; then the first comes again."""
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
MILLISECONDS = 1_000
TIMEOUT_SECONDS = 30.0
"""For one answer."""


@dataclass(frozen=True)
class Load:
    """What is asked, and how.

    Attributes:
        url: Of an operation.
        credentials: Of whom asks.
        bodies: JSON; sent in turn.
        rows: Observations in each of them.
        seconds: How long it is asked.
        clients: Connections. Each sends its next request once it has the answer to the one before.
        rate: Requests a second that are due, whether earlier ones were answered or not; None sends
            as many as the server answers.
    """

    url: str
    credentials: httpx.Auth
    bodies: Sequence[bytes]
    rows: int
    seconds: float
    clients: int
    rate: float | None = None

    @property
    def due(self) -> Iterator[float]:
        """Seconds from the begin at which requests are due; 0 for at once."""
        if self.rate is None:
            return itertools.repeat(0.0)
        return (number / self.rate for number in range(int(self.rate * self.seconds)))


@dataclass
class Measured:
    """What came of it.

    Attributes:
        seconds: How long it took.
        latencies: Seconds from when each request was due, or was sent where there is no rate, to
            its answer.
        statuses: How many answers had which status.
        failures: How many requests had no answer, by the kind of failure.
        versions: How many answers were of which version.
        unsent: Requests that were due, and for which no client was free in time.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    unsent: int = 0

    @property
    def is_sound(self) -> bool:
        """All that was due was asked, and decided."""
        return not self.failures and not self.unsent and set(self.statuses) == {httpx.codes.OK}

    @property
    def percentiles(self) -> dict[float, float]:
        """Latencies that so many percent of the answers kept to; 100 has the longest."""
        ordered = sorted(self.latencies)
        ranks = {each: max(math.ceil(len(ordered) * each / 100) - 1, 0) for each in PERCENTILES}
        return {each: ordered[rank] for each, rank in ranks.items()} if ordered else {}

    def report(self, asked: Load) -> str:
        """What was measured, for people."""
        each = len(self.latencies) / self.seconds
        rows = [("answers", f"{len(self.latencies):,}, {each:,.0f} a second")]
        if asked.rows > 1:
            rows.append(("decisions", f"{each * asked.rows:,.0f} a second"))
        for percent, seconds in self.percentiles.items():
            name = "longest" if percent == PERCENTILES[-1] else f"p{percent:g}"
            rows.append((name, f"{seconds * MILLISECONDS:.2f} ms"))
        rows += [("version", f"{name}: {n:,}") for name, n in sorted(self.versions.items())]
        rows += [("status", f"{code}: {n:,}") for code, n in sorted(self.statuses.items())]
        rows += [("NO ANSWER", f"{kind}: {n:,}") for kind, n in sorted(self.failures.items())]
        if self.unsent:
            rows.append(("NOT SENT", f"{self.unsent:,}: no client was free when they were due"))
        head = f"POST {asked.url}: {asked.clients} clients, {self.seconds:.1f} s"
        return "\n".join([head, *(f"  {name:<10} {told}" for name, told in rows)])


def load_of(
    url: str,
    credentials: str | tuple[str, str],
    *,
    batch: int | None,
    seconds: float,
    clients: int,
    rate: float | None,
) -> Load:
    """The load of a server, of observations that its schema accepts.

    Args:
        url: Of the server; with or without `/api`.
        credentials: A token, or user and password.
        batch: Observations in each request; None for one, and the operation for one.
        seconds: As in Load.
        clients: The same.
        rate: The same.

    Raises:
        RequestFailed: The server does not tell its schema, or that has no observations.
    """
    address = f"{url.rstrip('/').removesuffix(BASE_PATH)}{BASE_PATH}"
    auth = _Bearer(credentials) if isinstance(credentials, str) else httpx.BasicAuth(*credentials)
    bodies = _bodies(_schema(f"{address}{OPERATIONS['schema'].path}", auth), batch)
    operation = OPERATIONS["predict" if batch is None else "predict_batch"]
    return Load(f"{address}{operation.path}", auth, bodies, batch or 1, seconds, clients, rate)


def measure(load: Load) -> Measured:
    """Ask as a load says, whatever the server does."""
    return asyncio.run(_measure(load))


async def _measure(load: Load) -> Measured:
    limits = httpx.Limits(max_connections=load.clients, max_keepalive_connections=load.clients)
    async with httpx.AsyncClient(
        auth=load.credentials, timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False
    ) as client:
        measured, due, bodies = Measured(), load.due, itertools.cycle(load.bodies)
        began = time.perf_counter()  # not before: to make the client takes a while

        async def send_on() -> None:
            while time.perf_counter() < began + load.seconds:
                after = next(due, None)
                if after is None:
                    return
                await asyncio.sleep(max(began + after - time.perf_counter(), 0.0))
                since = time.perf_counter() if load.rate is None else began + after
                await _send(client, load.url, next(bodies), since, measured)

        await asyncio.gather(*(send_on() for _ in range(load.clients)))
        measured.seconds = time.perf_counter() - began
    measured.unsent = 0 if load.rate is None else sum(1 for _ in due)
    return measured


async def _send(
    client: httpx.AsyncClient, url: str, body: bytes, since: float, measured: Measured
) -> None:
    try:
        answer = await client.post(url, content=body, headers={"Content-Type": "application/json"})
    except httpx.HTTPError as error:
        measured.failures[type(error).__name__] += 1
        return
    measured.latencies.append(time.perf_counter() - since)
    measured.statuses[answer.status_code] += 1
    version = answer.headers.get(VERSION_HEADER)
    if version is not None:
        measured.versions[version] += 1


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _schema(address: str, auth: httpx.Auth) -> ObservationSchema:
    try:
        answer = httpx.get(address, auth=auth, timeout=TIMEOUT_SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise RequestFailed(f"{address} cannot be reached: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise RequestFailed(f"{address} answered {answer.status_code}.", status=answer.status_code)
    return read_schema(answer.text)


def _bodies(schema: ObservationSchema, batch: int | None) -> list[bytes]:
    if not schema.is_observed:
        raise RequestFailed("The server's schema has no observations, so that none can be made.")
    drawn = random_observations(schema, max(batch or 1, OBSERVATIONS), seed=0)
    if batch is None:
        return [_encoded(each) for each in drawn]
    starts = range(0, len(drawn) - batch + 1, batch)
    return [_encoded({"observations": drawn[at : at + batch]}) for at in starts]


def _encoded(value: object) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
