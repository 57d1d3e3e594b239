"""Runs a fake server: the real application with a made-up policy, in a folder that goes with it."""

import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from policy_server.app.assembly import create_app
from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.errors import ConfigurationError, Fault
from policy_server.fake.application import FakeApplication
from policy_server.fake.network import write_policy
from policy_server.logs import process_log
from policy_server.serving.activation import Activation
from policy_server.serving.policy_folder import open_policy_folder
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.web.adapters.fallbacks import http_protocol
from policy_server.web.descriptors import affordable

CREATED_BY = "the fake server"


@dataclass(frozen=True)
class Options:
    """How a fake server is to be.

    Attributes:
        schema: The file with the observation schema.
        host: Address to listen on.
        port: To listen on; 0 takes a free one.
        seed: Makes the decisions the same in each run; None leaves them to chance.
        user: Who may do everything.
        password: Of this user.
        key: Who has it may ask for decisions.
    """

    schema: Path
    host: str
    port: int
    seed: int | None
    user: str
    password: str
    key: str


def serve(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl+C.

    Args:
        options: How it is to be.
        announce: Called with the URL where its API begins, once that is being listened to.

    Raises:
        ConfigurationError: The file cannot be read, the address is taken, or credentials are
            guessable.
        SchemaError: The schema cannot be served.
    """
    signal.signal(signal.SIGTERM, _leave)  # so that the folder goes, too
    try:
        schema = options.schema.read_bytes()
    except OSError as error:
        fault = Fault(str(options.schema), f"cannot be read: {error.strerror}.")
        raise ConfigurationError("There is no schema.", [fault]) from error
    with tempfile.TemporaryDirectory(prefix="policy-server-fake-") as temporary:
        folder = Path(temporary)
        settings = _settings(options, folder)
        process_log.start(settings.log_format, "warning")
        with _listening(options) as listener:
            base = _publish(settings, schema, options.schema.name, folder)
            app = FakeApplication(create_app(settings), base, options.seed)
            configuration = uvicorn.Config(
                app,
                http=http_protocol(affordable(settings.connection_limits)),
                lifespan="on",
                log_config=None,
                access_log=False,
            )
            host, port = listener.getsockname()[:2]
            name = f"[{host}]" if ":" in host else host
            announce(f"http://{name}:{port}{base}")
            uvicorn.Server(configuration).run(sockets=[listener])


def _settings(options: Options, folder: Path) -> Settings:
    """Those of this server alone: what else is set on this machine is for real ones.

    Every request goes through the whole application, which the fast path would shorten.
    """
    given = {
        "base_path": folder / "instance",
        "user": options.user,
        "password": options.password,
        "api_keys": options.key,
        "fast_path": False,
        "drain_seconds": 0,
    }
    return read_settings(given, environment={}, dotenv_path=folder / "none")


def _listening(options: Options) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        return socket.create_server((options.host, options.port), family=family)
    except (OSError, OverflowError) as error:
        detail = getattr(error, "strerror", None) or error
        fault = Fault(f"{options.host}:{options.port}", f"{detail}: give another --port.")
        raise ConfigurationError("The fake server cannot listen there.", [fault]) from error


def _publish(settings: Settings, schema: bytes, name: str, folder: Path) -> str:
    """Publish a made-up policy for a schema; returns what the paths of its API begin with."""
    protect_base_path(settings)
    store, contracts = open_store(settings.base_path), contracts_of(settings)
    try:
        contract = contracts.of_schema(schema.decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "The schema cannot be read.", [Fault(name, f"{error}.")]
        ) from error
    made = folder / "policy"
    made.mkdir()
    write_policy(contract, schema, made)
    limits, keep = settings.build_limits, settings.keep_versions
    publisher = Publisher(store, contracts, limits, keep, activation=Activation(store))
    with open_policy_folder(made) as bundle:
        publisher.publish(bundle, created_by=CREATED_BY)
    return contract.base_path


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(0)
