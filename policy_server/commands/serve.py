"""`serve`: the production server."""

import os
import signal
import sys
from types import FrameType

from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.app.stores import begin_store
from policy_server.commands.publish import publish as publish_folder
from policy_server.commands.schema import schema as make_api
from policy_server.contract.contract import ContractFile
from policy_server.errors import ConfigurationError, Fault
from policy_server.resources import CHECKOUT

CONFIGURATION = "python:policy_server.app.gunicorn_configuration"
APPLICATION = "policy_server.app.assembly:app_or_exit()"


def serve(
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    publish: str | None = None,
    schema: str | None = None,
) -> None:
    """Serve what was prepared and published, with gunicorn, until SIGTERM or Ctrl+C.

    Args:
        host: Address to listen on, instead of HOST; without either 127.0.0.1.
        port: Port to listen on, instead of PORT; without either 8080.
        workers: Processes that answer, instead of WEB_CONCURRENCY; without either one
            for each processor.
        publish: A folder that is published first, as `publish` does it; without a sound policy
            in it nothing is served.
        schema: A schema file of which the API is made first, where there is none yet.
    """
    settings = read_settings({"host": host, "port": port})
    if workers is not None and workers < 1:
        fault = Fault("--workers", f"is a whole number from 1 on, not {workers}.")
        raise ConfigurationError("The server cannot be started.", [fault])
    _prepare(settings, publish, schema)
    if settings.port:  # else gunicorn says which port was free
        print(f"Policy server on {settings.url}/api/ui/", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "gunicorn", "-c", CONFIGURATION, APPLICATION]
    if workers is not None:
        command += ["-w", str(workers)]
    # The package, wherever this was started.
    path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    given = {"POLICY_SERVER_HOST": settings.host, "POLICY_SERVER_PORT": str(settings.port)}
    given["PYTHONPATH"] = path
    # gunicorn takes the place of this process, so that signals reach it.
    os.execve(sys.executable, command, {**os.environ, **given})


def _prepare(settings: Settings, folder: str | None, schema: str | None) -> None:
    """Make the API and publish the policy, as far as that is wanted."""
    if folder is None and schema is None:
        return
    begin_store(settings)
    # The first process of a container is ended by no signal that it does not handle.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if schema is not None and _is_new(settings):
            make_api(schema, clients=False)
        if folder is not None:
            publish_folder(folder)
    finally:
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, before)


def _is_new(settings: Settings) -> bool:
    """Whether there is no API yet: neither made here nor brought along by a policy."""
    return (
        not ContractFile.path(settings.base_path).exists()
        and contracts_of(settings).active() is None
    )


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
