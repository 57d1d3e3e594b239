"""From a version on disk to one that can decide: checked, loaded, warmed."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from policy_server.contract.contract import Contract
from policy_server.contract.samples import random_observations, random_vectors
from policy_server.errors import NoActivePolicy, VersionConflict
from policy_server.policy.engines.engine import AsyncEngine, Engine
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.policy.network import Network
from policy_server.policy.policy import Policy
from policy_server.proving.observed import SEED
from policy_server.resources import COMMAND
from policy_server.sandbox.engine_process import EngineProcess
from policy_server.sandbox.preprocessor_process import PreprocessorProcess
from policy_server.serving.deciding import Decider
from policy_server.serving.limits import ServingLimits
from policy_server.store.store import Store
from policy_server.store.uses import Use
from policy_server.version.network_description import NetworkDescription
from policy_server.version.parts import Part
from policy_server.version.version_parts import VersionParts, read_description, read_network


class AnotherContract(NoActivePolicy):
    """The version was proven against another contract."""


@dataclass(frozen=True)
class LiveVersion:
    """A version that can decide.

    Attributes:
        name: As the store calls it.
        decider: Makes its decisions, loaded and warm.
        use: Keeps it from being removed.
        header: Its name as the value of a header.
    """

    name: str
    decider: Decider
    use: Use
    header: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "header", self.name.encode())

    @property
    def policy(self) -> Policy:
        """Its policy."""
        return self.decider.policy

    def check_asked(self, name: bytes) -> None:
        """Raise VersionConflict unless this is the version that somebody asks for."""
        if name != self.header:
            raise VersionConflict(
                f"Version {name.decode('latin-1')} is asked for, and {self.name} decides."
            )

    def close(self) -> None:
        """Let go of it, once nobody waits for its decisions any more."""
        self.decider.close(self.use.close)


async def load_version(
    store: Store,
    name: str,
    contract: Contract,
    limits: ServingLimits,
    servers: EngineServers = NO_SERVERS,
) -> LiveVersion:
    """Load a version and let it decide once, so that the first client does not wait.

    Args:
        store: Where it lies.
        name: Of the version.
        contract: What it must have been proven against.
        limits: How much its decisions may take.
        servers: That may run its network.

    Raises:
        AnotherContract: It was proven against another contract.
        PolicyServerError: It is damaged, or needs what is not installed.
    """
    use = store.use(name)
    try:
        decider = await _load(store, name, contract, limits, servers)
        return LiveVersion(name, decider, use)
    except BaseException:
        use.close()
        raise


async def _load(
    store: Store,
    name: str,
    contract: Contract,
    limits: ServingLimits,
    servers: EngineServers,
) -> Decider:
    manifest = store.manifest(name)
    if manifest.contract != contract.digest:
        raise AnotherContract(
            f"version {name} was proven against another schema, TUPLE or DISCRETE_ACTIONS: "
            f"upload its parts again, or run `{COMMAND} publish FOLDER`."
        )
    if not manifest.complete:
        raise NoActivePolicy(f"version {name} lacks parts: upload them.")
    damage = await asyncio.to_thread(store.damage, name)
    if damage is not None:
        raise NoActivePolicy(f"version {name} is damaged: {damage}.")
    folder = store.folder(name)
    reading = (folder, name, contract, limits, servers)
    network, parts = await asyncio.to_thread(_read_parts, *reading)
    decider = await asyncio.to_thread(_decider, network, parts, contract, limits)
    try:
        await _check_width(name, network, parts.engine)
        await _decide_once(decider, contract)
    except BaseException:
        decider.close()
        raise
    return decider


async def _decide_once(decider: Decider, contract: Contract) -> None:
    """Decide on what the build saw it decide on first; zeros, say, need not be valid."""
    policy = decider.policy
    if contract.schema.is_observed:
        (observation,) = random_observations(contract.schema, 1, SEED)
        await decider.decide([policy.decoder.convert(observation)], "draw")
    else:
        (vector,) = random_vectors(1, policy.network.feature_width)
        await decider.decide_features(policy.raw_features(vector), "draw")


def _read_parts(
    folder: Path, name: str, contract: Contract, limits: ServingLimits, servers: EngineServers
) -> tuple[Network, VersionParts]:
    network = _read_network(folder, name, contract)

    def load(network: Network, model: Path) -> Engine:
        if network.own_process:
            return EngineProcess(network, model, limits.engine)
        return network.load_engine(model, servers)

    return network, VersionParts.read(folder, network, contract, load)


async def _check_width(name: str, network: Network, engine: Engine) -> None:
    zeros = np.zeros((1, network.input_width), np.float32)
    if isinstance(engine, AsyncEngine):
        found = await engine.run_async(zeros)
    else:
        found = await asyncio.to_thread(engine.run, zeros)
    width = found.shape[1] - network.memory_width
    if width != network.distribution.input_width:
        raise NoActivePolicy(f"version {name} is damaged: its network puts out {width} numbers.")


def _decider(
    network: Network, parts: VersionParts, contract: Contract, limits: ServingLimits
) -> Decider:
    process = None
    if parts.code is not None and limits.isolation is not None:
        each = network.timing.preprocessor_seconds
        process = PreprocessorProcess(
            parts.code, limits.isolation, network.feature_width, each=each, spare=True
        )
    here = parts.preprocessor(contract) if process is None else None
    policy = Policy(contract, network, parts.engine, here, parts.mapper)
    return Decider(policy, process, network.timing, limits)


def _read_network(folder: Path, name: str, contract: Contract) -> Network:
    try:
        return read_network(folder, contract)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoActivePolicy(f"version {name} is damaged: {error}") from error


def active_description(store: Store) -> NetworkDescription | None:
    """What is known of the active version's network; None where none is, or it is damaged."""
    name = store.active()
    with contextlib.suppress(OSError, ValueError, LookupError):
        return None if name is None else read_description(store.folder(name) / Part.MODEL)
    return None
