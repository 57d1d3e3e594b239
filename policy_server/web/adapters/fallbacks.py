"""What serves: our adapters, or the libraries alone where they are not as we know them.

Each choice is made once, at start. Where the plain behaviour is less safe, the warning says how;
where there is none that is safe, the server does not start.
"""

import importlib
import logging
from typing import Any

from policy_server.errors import ConfigurationError
from policy_server.web.adapters import known
from policy_server.web.adapters.library import Library, Load
from policy_server.web.patience import ConnectionLimits

UNSAFE_HTTP = (
    "uvicorn's own HTTP protocol serves. It is LESS SAFE: it reads requests less strictly, which "
    "proxies in front may understand otherwise, waits for slow clients without a limit of time, "
    "and has no limit on the headers of a request. Decisions take longer."
)
UNSAFE_WORKER = (
    "uvicorn's own worker serves. It is LESS SAFE to stop and start: readiness does not fail "
    "before the listener closes, so that a load balancer may lose requests; a worker that cannot "
    "start ends the master; and one whose master died goes on."
)
UNSAFE_VALIDATION = (
    "connexion's own validation serves. Only the first fault of a request is said; long bodies are "
    "validated on the event loop, so that ONE CLIENT CAN HOLD UP ALL; uploads that are no files "
    "are refused as failures of the server."
)
WORKER = "policy_server.web.adapters.gunicorn_worker.Worker"
SERVER_OPTIONS = {"loop": "uvloop", "lifespan": "on", "server_header": False}
"""Of uvicorn, in whichever worker."""
PLAIN_HTTP = "auto"
"""As uvicorn calls the protocol of its choice."""

logger = logging.getLogger(__name__)


def http_protocol(
    limits: ConnectionLimits, load: Load = importlib.import_module
) -> type[Any] | str:
    """What uvicorn speaks HTTP with."""
    if _differ(UNSAFE_HTTP, load, known.UVICORN_PROTOCOL, known.HTTPTOOLS):
        return PLAIN_HTTP
    from policy_server.web.protocol import protocol_with  # can be imported with that uvicorn alone

    return protocol_with(limits)


def worker_class(limits: ConnectionLimits, load: Load = importlib.import_module) -> type[Any] | str:
    """The worker of gunicorn, as its setting of this name takes it."""
    if not _differ(UNSAFE_WORKER, load, known.GUNICORN, known.UVICORN_WORKER, known.UVICORN_SERVER):
        return WORKER
    from uvicorn_worker import UvicornWorker

    options = {**SERVER_OPTIONS, "http": http_protocol(limits)}
    return type("PlainWorker", (UvicornWorker,), {"CONFIG_KWARGS": options})


def prepare_reload(server: Any, chosen: type[Any] | str) -> None:
    """Let gunicorn's master reload so that nothing is lost, where its worker is ours.

    Args:
        server: The master.
        chosen: Its worker, from `worker_class`.
    """
    if chosen == WORKER:
        from policy_server.web.adapters import gunicorn_reload

        gunicorn_reload.install(server)


def prepare_renewal(server: Any, chosen: type[Any] | str) -> None:
    """Let gunicorn's master pass on its listeners, in the process that becomes another master.

    Args:
        server: The master.
        chosen: Its worker, from `worker_class`.
    """
    if chosen == WORKER:
        from policy_server.web.adapters import gunicorn_reload

        gunicorn_reload.pass_listeners(server)


def prepare_notices(server: Any, chosen: type[Any] | str) -> None:
    """Let gunicorn's master tell systemd when requests are answered, where its worker is ours.

    Args:
        server: The master, before it listens.
        chosen: Its worker, from `worker_class`.
    """
    if chosen == WORKER:
        from policy_server.web.adapters import gunicorn_systemd

        gunicorn_systemd.install(server)


def hand_over(server: Any, chosen: type[Any] | str) -> None:
    """Let a master that ends tell systemd which one follows it; arguments as above."""
    if chosen == WORKER:
        from policy_server.web.adapters import gunicorn_systemd

        gunicorn_systemd.hand_over(server)


def validators(load: Load = importlib.import_module) -> dict[str, Any] | None:
    """What connexion validates requests with; None is what it has itself."""
    if _differ(UNSAFE_VALIDATION, load, known.CONNEXION_VALIDATION):
        return None
    from policy_server.web.adapters.connexion_validation import VALIDATORS  # see above

    return VALIDATORS


def check_routing(load: Load = importlib.import_module) -> None:
    """Make sure that connexion says which operation a request is for.

    Raises:
        ConfigurationError: It does not, so that neither roles nor limits could be kept.
    """
    wrong = known.CONNEXION_ROUTING.missing(load)
    noted = getattr(load("connexion.middleware.abstract"), "ROUTING_CONTEXT", known.ROUTING)
    if noted != known.ROUTING:
        wrong.append(f"it notes operations under {noted}, not {known.ROUTING}")
    if wrong:
        raise ConfigurationError(
            f"connexion is not as this server knows it ({'; '.join(wrong)}), so that it cannot "
            f"tell who may do what: install connexion {known.CONNEXION_ROUTING.release}."
        )


def _differ(consequence: str, load: Load, *libraries: Library) -> bool:
    differences = [each for library in libraries for each in library.differences(load)]
    if differences:
        logger.warning("%s: %s", "; ".join(differences), consequence)
    return bool(differences)
