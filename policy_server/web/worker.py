"""The gunicorn worker: uvicorn on uvloop and httptools."""

from uvicorn_worker import UvicornWorker

from policy_server.web.protocol import Protocol


class Worker(UvicornWorker):  # type: ignore[misc]  # untyped
    """A worker that refuses to start if its application cannot.

    With `lifespan: auto` a worker whose application fails to start would answer 500 to everything.
    """

    CONFIG_KWARGS = {  # noqa: RUF012  # the base class declares it so
        "loop": "uvloop",
        "http": Protocol,
        "lifespan": "on",
        "server_header": False,
    }
