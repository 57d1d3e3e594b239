"""The modules of a worker, loaded before there are workers.

Workers begin as copies of the master. What it has loaded they need not load again, and hold once
in memory; and a worker that is started later, when the files may be those of another release,
runs the program of all others.
"""

import contextlib
import importlib

from policy_server.traces.context import SPANS

MODULES = (
    "policy_server.app.assembly",
    "policy_server.policy.engines.onnx",
    "policy_server.web.adapters.connexion_validation",
    "policy_server.web.adapters.gunicorn_worker",
    "policy_server.web.protocol",
)
"""These, and all that they import. Others, such as TensorFlow's, are loaded where they are used."""


def load_program(*, with_traces: bool = False) -> None:
    """Load them, and what makes traces, where it is installed."""
    for name in MODULES:
        importlib.import_module(name)
    if with_traces:
        with contextlib.suppress(ImportError):  # each worker says so
            importlib.import_module(SPANS)
