"""A version that is loaded to be asked, without a server."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence

from policy_server.contract.contract import Contract
from policy_server.contract.schema import Observation
from policy_server.explaining.quantity import Json, Weigh, in_pieces
from policy_server.policy.engines.servers import EngineServers
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import LiveVersion, load_version
from policy_server.store.store import Store

PIECE = 500
"""Observations that are asked about at once."""


@contextlib.contextmanager
def opened(
    store: Store, name: str, contract: Contract, limits: ServingLimits, servers: EngineServers
) -> Iterator[Weigh]:
    """Load a version, and let it go at the end.

    Args:
        store: Where it lies.
        name: Of the version.
        contract: What it was proven against.
        limits: How much its decisions may take.
        servers: That may run its network.

    Raises:
        PolicyServerError: It cannot be loaded, or has a memory: what it decides on an observation
            follows from those before.
    """
    with asyncio.Runner() as runner:
        live = runner.run(load_version(store, name, contract, limits, servers))
        try:
            live.policy.check_alone()

            def weigh(observations: Sequence[Observation]) -> list[Json]:
                return runner.run(_weighed(live, observations))

            yield in_pieces(weigh, PIECE)
        finally:
            runner.run(_close(live))


async def _weighed(live: LiveVersion, observations: Sequence[Observation]) -> list[Json]:
    records = [live.policy.decoder.convert(each) for each in observations]
    return await live.decider.decide(records, "describe")


async def _close(live: LiveVersion) -> None:
    live.close()
