"""The development server: one process, no workers."""

import uvicorn

from policy_server.app.settings import read_settings
from policy_server.web.adapters.fallbacks import http_protocol
from policy_server.web.switch import ApplicationSwitch


def serve(app: ApplicationSwitch, host: str | None = None, port: int | None = None) -> None:
    """Run the development server.

    Args:
        app: The application.
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
