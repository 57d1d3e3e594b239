"""Wires the rooms into one application: `python app.py`, `gunicorn app:app`."""

import logging
import sys

import fire
import uvicorn

import api
from configuration import Settings, contracts_of, read_settings
from policy_server.clients.library import ClientLibrary
from policy_server.contract.contract import Contract
from policy_server.contract.history import SchemaHistory
from policy_server.errors import ConfigurationError, SchemaError
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.live import LivePolicy
from policy_server.serving.publication import Publisher
from policy_server.serving.shutdown import Shutdown
from policy_server.serving.versions import Versions
from policy_server.store.store import Store
from policy_server.web.adapters.fallbacks import http_protocol
from policy_server.web.application import BodyLimits, Service, create_application
from policy_server.web.busy_polling import BusyPolling
from policy_server.web.security import Authenticator, KeptCredentials
from policy_server.web.switch import Application, ApplicationSwitch, Refresh

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def create_app(settings: Settings) -> ApplicationSwitch:
    """The application of these settings.

    Raises:
        SchemaError: There is no schema yet, or it cannot be served.
    """
    base_path, contracts = settings.base_path, contracts_of(settings)
    store, shutdown = Store(base_path), Shutdown(settings.drain_seconds)
    publisher = Publisher(store, contracts, settings.build_limits, settings.keep_versions, shutdown)
    versions, registration = Versions(store, contracts, settings.build_limits), store.register()
    credentials = KeptCredentials(settings.user, settings.password, base_path / "credentials")
    schemas, busy_polling = SchemaHistory(base_path), BusyPolling(settings.linger_microseconds)
    limits = BodyLimits(settings.body_megabytes, settings.upload_megabytes)

    def create(contract: Contract, refresh: Refresh) -> Application:
        specification = contracts.specification(contract)
        live = LivePolicy(
            store, contract, settings.isolation, registration, settings.waiting_decisions
        )
        schemas.keep(contract.schema)
        clients = ClientLibrary(base_path, contract, specification, settings.generator)
        service = Service(
            contract,
            live,
            publisher,
            versions,
            refresh,
            shutdown,
            DataPlane(live, contract.decoder, settings.request_seconds),
            schemas,
            clients,
        )
        authenticator = Authenticator(credentials, settings.api_keys)
        answer = create_application(
            specification, api, service, authenticator, limits, busy_polling, settings.fast_path
        )
        return Application(
            contract, live, answer, {"service": service, "authenticator": authenticator}
        )

    return ApplicationSwitch(contracts, create, shutdown, settings.connection_limits)


def _app_or_exit() -> ApplicationSwitch:
    try:
        settings = read_settings()
        logging.basicConfig(format=LOG_FORMAT)
        logging.getLogger("policy_server").setLevel("DEBUG" if settings.debug else "INFO")
        return create_app(settings)
    except (ConfigurationError, SchemaError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from error


def serve(host: str | None = None, port: int | None = None) -> None:
    """Run the development server.

    Args:
        host: Address to listen on, instead of HOST.
        port: Port to listen on, instead of PORT.
    """
    settings = read_settings({"host": host, "port": port})
    print(f"Policy server on http://{settings.host}:{settings.port}/api/ui/ (development server)")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        http=http_protocol(settings.connection_limits),
        timeout_keep_alive=settings.keep_alive_seconds,
        lifespan="on",
        log_level="warning",
        access_log=False,
    )


app = _app_or_exit()

if __name__ == "__main__":
    fire.Fire(serve)
