"""Wires the rooms into what answers for one policy."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from weakref import WeakSet

from policy_server.access.audit import AuditLog
from policy_server.access.authenticator import Authenticator
from policy_server.app.episodes import memory_key, memory_tokens
from policy_server.app.measuring import Measuring
from policy_server.app.settings import Settings, contracts_of
from policy_server.app.stores import store_of
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.contract.policy_names import path_of
from policy_server.serving.activation import Activation
from policy_server.serving.builds import Builds
from policy_server.serving.contracts import Contracts
from policy_server.serving.copying import Copies, Receiver
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.edge.package import Packages
from policy_server.serving.live import LivePolicy
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.serving.versions import Versions
from policy_server.store.builds import BuildRecords
from policy_server.store.store import Store
from policy_server.web.application import BodyLimits, Options, Service, create_application
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.observing import Observed
from policy_server.web.policies import Policies
from policy_server.web.problems import problem_document
from policy_server.web.state import State
from policy_server.web.switch import Application, ApplicationSwitch, Refresh


@dataclass(frozen=True)
class Shared:
    """What the policies of one process have in common.

    Attributes:
        api: Holds a function for each operationId of the contract.
        shutdown: Of the process.
        busy_polling: Of the process.
        measuring: Of the process.
        told: Is told of requests.
        lacking: What uploaded code is not kept from.
        copies: Of the versions of a store.
        builds: Of all policies.
    """

    api: ModuleType
    shutdown: Shutdown
    busy_polling: BusyPolling
    measuring: Measuring
    told: Observed
    lacking: tuple[str, ...]
    copies: Callable[[Store], Copies]
    builds: WeakSet[Builds] = field(default_factory=WeakSet)

    def publisher(
        self,
        settings: Settings,
        name: str,
        store: Store,
        contracts: Contracts,
        activation: Activation,
    ) -> Receiver:
        """Makes the versions of a policy."""
        publisher = Receiver(
            store,
            contracts,
            settings.build_limits,
            settings.keep_versions,
            self.shutdown,
            settings.episode_seconds,
            settings.engine_servers(settings.base_path),
            activation,
        )
        self.measuring.watch_builds(publisher, name)
        return publisher

    def builds_of(self, base_path: Path) -> Builds:
        """Those of a policy that go on behind an answer."""
        builds = Builds(BuildRecords(base_path), self.shutdown, problem_document)
        self.builds.add(builds)
        return builds

    def options(self, settings: Settings, name: str, is_server: bool) -> Options:
        """How the application of a policy answers."""
        surroundings = settings.surroundings
        if not is_server:
            surroundings = replace(surroundings, below=path_of(name), model=name)
        return Options(
            BodyLimits(settings.body_megabytes, settings.upload_megabytes),
            self.busy_polling,
            fast_path=settings.fast_path,
            surroundings=surroundings,
            observed=self.told._replace(policy=name),
            metrics=self.measuring.metrics if is_server else None,
            lazy=not is_server,
        )

    def await_builds(self) -> None:
        """Wait until the builds of this process have ended."""
        for each in list(self.builds):
            each.wait()


def create_switch(
    settings: Settings,
    name: str,
    shared: Shared,
    authenticator: Authenticator,
    policies: Policies | None = None,
) -> ApplicationSwitch:
    """What answers for one policy.

    Args:
        settings: Of the policy: its BASE_PATH is its store.
        name: Of the policy.
        shared: What it shares with others.
        authenticator: Knows who may do what.
        policies: The others, for the default policy alone.

    Raises:
        SchemaError: It has no schema yet, or none that can be served.
    """
    base_path, is_server, key = settings.base_path, policies is not None, memory_key(settings)
    contracts, store = contracts_of(settings, is_server=is_server), store_of(settings)
    limits, servers = settings.build_limits, settings.engine_servers(base_path)
    activation, schemas = Activation(store, shutdown=shared.shutdown), SchemaHistory(base_path)
    publisher = shared.publisher(settings, name, store, contracts, activation)
    versions = Versions(store, contracts, limits, servers, activation)
    copies, siblings = shared.copies(store), Siblings(store, registration := store.register())
    packages = Packages(store, contracts, limits, settings.serving_limits.isolation)
    builds, options = shared.builds_of(base_path), shared.options(settings, name, is_server)

    def create(contract: Contract, refresh: Refresh) -> Application:
        specification = cache(partial(contracts.specification, contract))
        live = LivePolicy(store, contract, settings.serving_limits, registration, servers)
        live = shared.measuring.watch_swaps(live, name)
        schemas.save(contract.schema)
        clients = ClientLibrary(base_path, contract, specification, settings.generator)
        tokens = memory_tokens(settings, key, contract)
        plane = DataPlane(live, contract, settings.request_seconds, tokens)
        making = (publisher, copies, packages, builds, versions, refresh, shared.shutdown)
        parts = (siblings, plane, schemas, clients, AuditLog(base_path), policies, shared.lacking)
        service = Service(contract, live, *making, *parts)
        answer = create_application(specification, shared.api, service, authenticator, options)
        state = State(service, authenticator, shared.told.observer, policies=policies)
        return Application(contract, live, answer, state)

    return ApplicationSwitch(contracts, create, shared.shutdown, siblings)
