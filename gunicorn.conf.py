"""Worker class and limits of the production server; read by gunicorn in this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # gunicorn looks in its own folder alone

from policy_server.app.gunicorn_configuration import (
    bind,
    certfile,
    control_socket_disable,
    forwarded_allow_ips,
    graceful_timeout,
    keepalive,
    keyfile,
    logger_class,
    loglevel,
    on_exit,
    on_reload,
    on_starting,
    pre_exec,
    when_ready,
    worker_class,
    worker_tmp_dir,
    workers,
)

__all__ = [
    "bind",
    "certfile",
    "control_socket_disable",
    "forwarded_allow_ips",
    "graceful_timeout",
    "keepalive",
    "keyfile",
    "logger_class",
    "loglevel",
    "on_exit",
    "on_reload",
    "on_starting",
    "pre_exec",
    "when_ready",
    "worker_class",
    "worker_tmp_dir",
    "workers",
]
