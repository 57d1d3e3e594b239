"""Valid random observations of a schema: for checks at upload, forms, examples and load."""

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.schema import Observation, ObservationSchema


def random_vectors(count: int, width: int, seed: int = 1) -> NDArray[np.float64]:
    """Draw input vectors of a network, float64[count, width], where nothing is known of them."""
    return np.random.default_rng(seed).standard_normal((count, width))


def random_observations(
    schema: ObservationSchema, count: int, seed: int | None = None
) -> list[Observation]:
    """Draw observations that the schema accepts, the ends of its ranges among them.

    Optional fields are there half of the time; the first observation has all of them and the
    second none, where there are that many.
    """
    rng = np.random.default_rng(seed)
    observations: list[Observation] = []
    for index in range(count):
        observation: Observation = {}
        for name, field in schema.fields.items():
            present = {0: True, 1: False}.get(index, bool(rng.random() < 0.5))
            if present or name in schema.required:
                observation[name] = field.sample(rng)
        for mask in schema.masks:
            values = observation.get(mask.field)
            if isinstance(values, list):
                mask.allow_something(values, rng)
        observations.append(observation)
    return observations
