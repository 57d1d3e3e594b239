"""The policy server as an application of Ray Serve: docs/ray.md.

    serve run policy_server_on_ray:app max_replicas=8

Each replica is the whole application, as a worker of gunicorn is; what it serves lies in the store
that its settings name, and a version that is activated anywhere decides in all replicas.
"""

from pydantic import BaseModel, PositiveFloat, PositiveInt
from ray import serve
from ray.serve.config import AutoscalingConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = b"x-request-id"


class Scaling(BaseModel):
    """How many replicas there are, and when there are more.

    Attributes:
        min_replicas: At least.
        max_replicas: At most.
        processors: Of a replica; it decides with one, and a preprocessor has another process.
        requests: Of a replica at a time, on average; with more of them there are more replicas.
        most_requests: Of a replica at a time; more of them wait in front.
        upscale_seconds: So long there are more requests, and another replica is started.
        downscale_seconds: So long there are fewer, and a replica ends.
    """

    min_replicas: PositiveInt = 1
    max_replicas: PositiveInt = 4
    processors: PositiveFloat = 1.0
    requests: PositiveFloat = 8.0
    most_requests: PositiveInt = 256
    upscale_seconds: float = 10.0
    downscale_seconds: float = 300.0


class OneRequestId:
    """Leaves out the header `X-Request-Id`, which Ray's proxy adds to every answer.

    The id is the same: it passes its own, or the client's, on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [each for each in message["headers"] if each[0].lower() != REQUEST_ID]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_without)


def application() -> ASGIApp:
    """What a replica answers with; the settings are those of its node's environment."""
    import api  # the program is there where replicas run; where this is deployed it need not be
    from policy_server.app.assembly import create_app
    from policy_server.app.log_settings import format_of
    from policy_server.app.settings import read_settings
    from policy_server.logs import process_log

    process_log.start(format_of(), "info")
    settings = read_settings()
    process_log.start(settings.log_format, settings.level)
    return OneRequestId(create_app(settings, api))


def app(scaling: Scaling) -> serve.Application:
    """The application, as `serve run` and `serve deploy` take it."""
    deployment = serve.deployment(
        name="PolicyServer",
        autoscaling_config=AutoscalingConfig(
            min_replicas=scaling.min_replicas,
            max_replicas=scaling.max_replicas,
            target_ongoing_requests=scaling.requests,
            upscale_delay_s=scaling.upscale_seconds,
            downscale_delay_s=scaling.downscale_seconds,
        ),
        max_ongoing_requests=scaling.most_requests,
        ray_actor_options={"num_cpus": scaling.processors},
    )
    return deployment(serve.ingress(application)()).bind()
