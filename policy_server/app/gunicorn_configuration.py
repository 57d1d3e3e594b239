"""Worker class and limits of the production server, under the names that gunicorn reads."""

import gc
import os
from pathlib import Path
from typing import Any

from policy_server.app.credentials import check_secrets
from policy_server.app.log_settings import format_of
from policy_server.app.processors import usable_processors
from policy_server.app.program import load_program
from policy_server.app.protection import check_sandbox, check_store, check_temporary_files
from policy_server.app.settings import contracts_of, read_settings
from policy_server.app.stores import begin_store
from policy_server.errors import ConfigurationError, SchemaError
from policy_server.logs import process_log
from policy_server.web.adapters import fallbacks

MEMORY = "/dev/shm"
"""A folder for signs of life of workers: no disk holds them up, and none need be written to."""
LOGGER = "policy_server.web.adapters.gunicorn_logger.ProcessLogger"


def _as_text(path: Path | None) -> str | None:
    return None if path is None else str(path)


process_log.start(format_of(), "info")
try:
    settings = read_settings()
    process_log.start(settings.log_format, settings.level)
    check_sandbox(settings)
    check_store(settings)
    check_temporary_files()
    check_secrets(settings)
except ConfigurationError as error:
    process_log.last_words(error)
    raise SystemExit(2) from error

bind = f"{settings.address}:{settings.port}"
workers = settings.workers or usable_processors()
worker_class = fallbacks.worker_class(settings.connection_limits)
logger_class = LOGGER
loglevel = settings.log_level or "info"
control_socket_disable = True
graceful_timeout = 30
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
keepalive = settings.keep_alive_seconds
forwarded_allow_ips = settings.trusted_proxies
certfile, keyfile = map(_as_text, (settings.tls_certificate, settings.tls_key))


def on_starting(server: Any) -> None:
    """Say what is wrong with the contract once, instead of once a worker and for ever."""
    if settings.workers is None and server.cfg.workers == workers:
        server.log.info("workers: %d, one for each processor; WEB_CONCURRENCY sets others", workers)
    try:
        begin_store(settings)
        contracts = contracts_of(settings)
        contracts.specification(contracts.served())
    except SchemaError as error:
        process_log.last_words(error)
        raise SystemExit(2) from error
    _load_for_workers()
    fallbacks.prepare_notices(server, worker_class)


def when_ready(server: Any) -> None:
    """From now on lose nothing in a reload."""
    fallbacks.prepare_reload(server, worker_class)


def on_reload(server: Any) -> None:
    """Have the new program, before there are new workers."""
    _load_for_workers()


def pre_exec(server: Any) -> None:
    """Pass the listeners on to the second master."""
    fallbacks.prepare_renewal(server, worker_class)


def on_exit(server: Any) -> None:
    """Tell who follows."""
    fallbacks.hand_over(server, worker_class)


def _load_for_workers() -> None:
    """Load what workers begin with."""
    if worker_class == fallbacks.WORKER:  # else modules are missing that belong to it
        load_program(with_traces=settings.traces_endpoint is not None)
    # Workers share what nobody writes to: the collector would write to everything.
    gc.collect()
    gc.freeze()
