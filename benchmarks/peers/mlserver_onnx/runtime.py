# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""A custom runtime of MLServer whose handler takes the observation as it is.

The protocol of MLServer's own endpoint would have clients send tensors instead.
"""

from decisions import Decision, Observation, OnnxPolicy
from mlserver import MLModel
from mlserver.handlers import custom_handler


class PolicyRuntime(MLModel):
    """Decides about lpoc observations."""

    async def load(self) -> bool:
        """Load the network."""
        self._policy = OnnxPolicy()
        return True

    @custom_handler(rest_path="/predict")
    async def decide(self, observation: Observation) -> Decision:
        """Draw an action."""
        return self._policy.decide(observation)
