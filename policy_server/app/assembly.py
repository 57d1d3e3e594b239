"""Wires the rooms into one application."""

import sys
from types import ModuleType

from policy_server.access.audit import AuditLog
from policy_server.app.credentials import create_authenticator
from policy_server.app.episodes import memory_key, memory_tokens
from policy_server.app.log_settings import format_of
from policy_server.app.measuring import Measuring
from policy_server.app.observers import Observers
from policy_server.app.protection import protect
from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.errors import ConfigurationError, SchemaError
from policy_server.logs import process_log
from policy_server.resources import CHECKOUT
from policy_server.serving.activation import Activation
from policy_server.serving.builds import Builds
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.live import LivePolicy
from policy_server.serving.publication import Publisher
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.siblings import Siblings
from policy_server.serving.versions import Versions
from policy_server.store.builds import BuildRecords
from policy_server.store.registry import open_store
from policy_server.web import handlers
from policy_server.web.application import BodyLimits, Service, create_application
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.problems import problem_document
from policy_server.web.state import State
from policy_server.web.switch import Application, ApplicationSwitch, Refresh

ASGI_WORKERS = ("uvicorn_worker", "uvicorn.workers", "gunicorn.workers.gasgi")
"""Modules of gunicorn's workers that speak ASGI: one of them is loaded where one is used."""
APP_LOAD_ERROR = 4
"""Exit code of a worker after which gunicorn ends, instead of starting another."""


def create_app(settings: Settings, api: ModuleType = handlers) -> ApplicationSwitch:
    """The application of these settings.

    Args:
        settings: Of this process.
        api: Holds a function for each operationId of the contract.

    Raises:
        ConfigurationError: A secret is guessable, or uploaded code cannot be confined as wanted.
        SchemaError: There is no schema yet, or it cannot be served.
    """
    lacking, key = protect(settings), memory_key(settings)
    authenticator = create_authenticator(settings)
    base_path, contracts = settings.base_path, contracts_of(settings)
    store, shutdown = open_store(base_path), Shutdown(settings.drain_seconds)
    limits, servers = settings.build_limits, settings.engine_servers(settings.base_path)
    activation = Activation(store, shutdown=shutdown)
    kept = (settings.keep_versions, shutdown, settings.episode_seconds, servers, activation)
    observers = Observers(settings, measuring := Measuring(settings))
    publisher = measuring.watch_builds(Publisher(store, contracts, limits, *kept))
    versions = Versions(store, contracts, limits, servers, activation)
    siblings = Siblings(store, registration := store.register())
    builds = Builds(BuildRecords(base_path), shutdown, problem_document)
    schemas, busy_polling = SchemaHistory(base_path), BusyPolling(settings.linger_microseconds)
    told, bodies = observers.told, BodyLimits(settings.body_megabytes, settings.upload_megabytes)

    def create(contract: Contract, refresh: Refresh) -> Application:
        specification = contracts.specification(contract)
        live = measuring.watch_swaps(
            LivePolicy(store, contract, settings.serving_limits, registration, servers)
        )
        schemas.save(contract.schema)
        clients = ClientLibrary(base_path, contract, specification, settings.generator)
        tokens = memory_tokens(settings, key, contract)
        plane = DataPlane(live, contract, settings.request_seconds, tokens)
        making = (publisher, builds, versions, refresh, shutdown, siblings)
        parts = (plane, schemas, clients, AuditLog(base_path), lacking)
        service = Service(contract, live, *making, *parts)
        options = (bodies, busy_polling, settings.fast_path, settings.surroundings, told)
        shown = (service, authenticator, *options, measuring.metrics)
        answer = create_application(specification, api, *shown)
        return Application(contract, live, answer, State(service, authenticator, told.observer))

    following = (siblings, observers, builds.wait)
    return ApplicationSwitch(contracts, create, shutdown, settings.connection_limits, *following)


def app_or_exit(api: ModuleType = handlers) -> ApplicationSwitch:
    """The application of the environment's settings; exit code 2, with every fault, without one."""
    process_log.start(format_of(), "info")
    _check_worker()
    try:
        settings = read_settings()
        process_log.start(settings.log_format, settings.level)
        return create_app(settings, api)
    except (ConfigurationError, SchemaError) as error:
        process_log.last_words(error)
        raise SystemExit(2) from error


def _check_worker() -> None:
    """Leave where gunicorn has a worker that cannot serve this: each request would fail."""
    is_gunicorn = "gunicorn.arbiter" in sys.modules
    if not is_gunicorn or any(name in sys.modules for name in ASGI_WORKERS):
        return
    configuration = f"-c {CHECKOUT / 'gunicorn.conf.py'}"
    process_log.last_words(
        "gunicorn did not read its configuration, or was told to use another worker (-k), which "
        f"cannot serve this application. Add {configuration}, leave -k out, or start "
        "`policy-server serve`."
    )
    raise SystemExit(APP_LOAD_ERROR)
