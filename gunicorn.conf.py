"""Worker class and limits of the production server; read by gunicorn in this folder."""

from policy_server.app.gunicorn_configuration import (
    bind,
    control_socket_disable,
    graceful_timeout,
    keepalive,
    on_starting,
    worker_class,
)

__all__ = [
    "bind",
    "control_socket_disable",
    "graceful_timeout",
    "keepalive",
    "on_starting",
    "worker_class",
]
