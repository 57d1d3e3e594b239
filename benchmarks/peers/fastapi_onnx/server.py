# mypy: ignore-errors
# The peer's packages are installed in an environment of its own, not where types are checked.
"""FastAPI by hand: a Pydantic model in, ONNX Runtime, a Pydantic model out."""

from decisions import Decision, Observation, OnnxPolicy
from fastapi import FastAPI

app = FastAPI()
policy = OnnxPolicy()


@app.post("/predict")
async def predict(observation: Observation) -> Decision:
    """Decide in the event loop: a thread for each request would cost more than the network."""
    return policy.decide(observation)
