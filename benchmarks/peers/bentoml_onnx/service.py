# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""A BentoML service of one worker whose method takes the observation as the whole body."""

import bentoml
from decisions import Decision, Observation, OnnxPolicy


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Policy:
    """Decides about lpoc observations."""

    def __init__(self) -> None:
        self._policy = OnnxPolicy()

    @bentoml.api
    async def predict(self, observation: Observation, /) -> Decision:
        """Draw an action."""
        return self._policy.decide(observation)
