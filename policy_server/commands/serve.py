"""`serve`: the production server."""

import os
import sys

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError, Fault
from policy_server.resources import CHECKOUT

CONFIGURATION = "python:policy_server.app.gunicorn_configuration"
APPLICATION = "policy_server.app.assembly:app_or_exit()"


def serve(host: str | None = None, port: int | None = None, workers: int | None = None) -> None:
    """Serve what was prepared and published, with gunicorn, until SIGTERM or Ctrl+C.

    Args:
        host: Address to listen on, instead of HOST; without either 127.0.0.1.
        port: Port to listen on, instead of PORT; without either 8080.
        workers: Processes that answer, instead of WEB_CONCURRENCY; without either one
            for each processor.
    """
    settings = read_settings({"host": host, "port": port})
    if workers is not None and workers < 1:
        fault = Fault("--workers", f"is a whole number from 1 on, not {workers}.")
        raise ConfigurationError("The server cannot be started.", [fault])
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
