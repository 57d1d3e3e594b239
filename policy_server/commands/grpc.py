"""`grpc`: the Open Inference Protocol over gRPC, in a process of its own."""

import importlib.util
import sys

from policy_server.app.settings import read_settings
from policy_server.errors import ConfigurationError, Fault

PORT = 8001
"""Triton's."""


def grpc(host: str | None = None, port: int = PORT) -> None:
    """Answer the Open Inference Protocol over gRPC, until SIGTERM or Ctrl+C.

    It follows the same store as the workers of `serve`, has the same settings and credentials, and
    needs no other server. Run several on ports of their own for more than one processor.

    Args:
        host: Address to listen on, instead of HOST; without either 127.0.0.1.
        port: Port to listen on; 0 takes a free one.
    """
    settings = read_settings({"host": host})
    if importlib.util.find_spec("grpc") is None:
        remedy = "pip install grpcio, or policy-server[grpc]."
        raise ConfigurationError("gRPC is not installed.", [Fault("grpcio", remedy)])
    # All that serves takes a second to import, for which no other command is to wait.
    from policy_server.app.assembly import app_or_exit
    from policy_server.rpc.server import Listening, serve
    from policy_server.web.limits import BYTES_PER_MEGABYTE

    certificate, key = settings.tls_certificate, settings.tls_key
    secret = None
    if certificate is not None and key is not None:
        secret = certificate.read_bytes(), key.read_bytes()
    listening = Listening(
        settings.host,
        port,
        secret,
        settings.body_megabytes * BYTES_PER_MEGABYTE,
        settings.drain_seconds,
    )

    def ready(port: int) -> None:
        print(f"gRPC on {settings.host}:{port}", file=sys.stderr, flush=True)

    serve(app_or_exit(), listening, ready)
