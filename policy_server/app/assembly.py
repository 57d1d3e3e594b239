"""Wires the rooms into one application."""

import sys
from functools import partial
from types import ModuleType

from policy_server.app.copying import copies_of
from policy_server.app.credentials import create_authenticator
from policy_server.app.log_settings import format_of
from policy_server.app.measuring import Measuring
from policy_server.app.observers import Observers
from policy_server.app.policies import authenticator_of, catalogue_of, settings_of
from policy_server.app.policy_assembly import Shared, create_switch
from policy_server.app.protection import protect
from policy_server.app.settings import Settings, read_settings
from policy_server.app.stores import begin_store, shared_policies, store_of
from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import ConfigurationError, SchemaError
from policy_server.logs import process_log
from policy_server.resources import CHECKOUT
from policy_server.serving.shutdown import Shutdown
from policy_server.web import handlers
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.policies import Policies
from policy_server.web.switch import ApplicationSwitch
from policy_server.web.worker import WorkerApplication

ASGI_WORKERS = ("uvicorn_worker", "uvicorn.workers", "gunicorn.workers.gasgi")
"""Modules of gunicorn's workers that speak ASGI: one of them is loaded where one is used."""
APP_LOAD_ERROR = 4
"""Exit code of a worker after which gunicorn ends, instead of starting another."""


def create_app(settings: Settings, api: ModuleType = handlers) -> WorkerApplication:
    """The application of these settings.

    Args:
        settings: Of this process.
        api: Holds a function for each operationId of the contract.

    Raises:
        ConfigurationError: A secret is guessable, or uploaded code cannot be confined as wanted.
        SchemaError: There is no schema yet, or it cannot be served.
    """
    lacking = protect(settings)
    authenticator, shutdown = create_authenticator(settings), Shutdown(settings.drain_seconds)
    observers = Observers(settings, measuring := Measuring(settings))
    busy_polling = BusyPolling(settings.linger_microseconds)
    copies = partial(copies_of, settings)
    shared = Shared(api, shutdown, busy_polling, measuring, observers.told, lacking, copies)
    catalogue = catalogue_of(settings)
    catalogue.clean()

    def create(name: str) -> ApplicationSwitch:
        own = settings_of(settings, name)
        return create_switch(own, name, shared, authenticator_of(own, authenticator))

    def server() -> str:
        return default.siblings.told.server

    policies = Policies(catalogue, create, settings.policy_limits, server)
    default = create_switch(settings, DEFAULT, shared, authenticator, policies)
    store, others = store_of(settings), shared_policies(settings)
    return WorkerApplication(
        default,
        policies,
        shutdown,
        settings.connection_limits,
        observers,
        shared.await_builds,
        settings.surroundings,
        [store.follow, others.follow] if others is not None else [],
    )


def app_or_exit(api: ModuleType = handlers) -> WorkerApplication:
    """The application of the environment's settings; exit code 2, with every fault, without one."""
    process_log.start(format_of(), "info")
    _check_worker()
    try:
        settings = read_settings()
        process_log.start(settings.log_format, settings.level)
        if not _is_gunicorn():  # whose master has done so
            begin_store(settings)
        return create_app(settings, api)
    except (ConfigurationError, SchemaError) as error:
        process_log.last_words(error)
        raise SystemExit(2) from error


def _is_gunicorn() -> bool:
    return "gunicorn.arbiter" in sys.modules


def _check_worker() -> None:
    """Leave where gunicorn has a worker that cannot serve this: each request would fail."""
    if not _is_gunicorn() or any(name in sys.modules for name in ASGI_WORKERS):
        return
    configuration = f"-c {CHECKOUT / 'gunicorn.conf.py'}"
    process_log.last_words(
        "gunicorn did not read its configuration, or was told to use another worker (-k), which "
        f"cannot serve this application. Add {configuration}, leave -k out, or start "
        "`policy-server serve`."
    )
    raise SystemExit(APP_LOAD_ERROR)
