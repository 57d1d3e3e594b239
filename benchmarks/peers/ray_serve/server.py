# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""Ray Serve: the proxy and one replica on this machine, tuned for throughput."""

import os
import signal
import sys
import tempfile
import threading

import ray
from decisions import Observation, OnnxPolicy
from pydantic import ValidationError
from ray import serve
from starlette.requests import Request
from starlette.responses import Response


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class Policy:
    """Decides about lpoc observations."""

    def __init__(self) -> None:
        self._policy = OnnxPolicy()

    async def __call__(self, request: Request) -> Response:
        """Draw an action."""
        try:
            observation = Observation.model_validate_json(await request.body())
        except ValidationError as error:
            return Response(error.json(), 422, media_type="application/json")
        decision = self._policy.decide(observation)
        return Response(decision.model_dump_json(), media_type="application/json")


def main(port: int) -> None:
    """Serve until SIGTERM."""
    with tempfile.TemporaryDirectory(prefix="ray", dir=os.environ.get("TMPDIR")) as folder:
        ray.init(
            _node_ip_address="127.0.0.1",
            _temp_dir=folder,
            include_dashboard=False,
            log_to_driver=False,
            num_cpus=os.cpu_count(),
            object_store_memory=100_000_000,
        )
        serve.start(
            http_options={"host": "127.0.0.1", "port": port},
            logging_config={"enable_access_log": False, "log_level": "ERROR"},
        )
        serve.run(Policy.bind(), route_prefix="/predict")
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        while not stop.wait(1):
            pass
        ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
