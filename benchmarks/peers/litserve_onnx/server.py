# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""LitServe with its fast queue: one process takes requests, one decides."""

import sys

import litserve
from decisions import Decision, Observation, OnnxPolicy


class PolicyAPI(litserve.LitAPI):
    """Decides about lpoc observations."""

    def setup(self, device: str) -> None:
        """Load the network."""
        self._policy = OnnxPolicy()

    def decode_request(self, request: Observation) -> Observation:
        """Take the observation, which LitServe has validated."""
        return request

    def predict(self, observation: Observation) -> Decision:
        """Draw an action."""
        return self._policy.decide(observation)

    def encode_response(self, output: Decision) -> Decision:
        """Answer the decision."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        PolicyAPI(api_path="/predict"), accelerator="cpu", workers_per_device=1, fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
        access_log=False,
    )
