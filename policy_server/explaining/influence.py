"""Which places matter: how far what is weighed moves, on average, when one takes other values.

How far two distributions over actions lie apart is their total variation (half the sum of how much
probabilities differ; Levin and Peres, "Markov chains and mixing times", 2017, section 4.1); of
continuous actions it is the distance of the means.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.contributions import margins
from policy_server.explaining.curves import curves_of
from policy_server.explaining.quantity import Json, Weigh


@dataclass(frozen=True)
class Influence:
    """What moving one place does.

    Attributes:
        name: Of the place.
        effect: How far what is weighed moves: a mean over values and observations.
        margin: So far to either side the mean over all observations lies, 95 times in 100.
    """

    name: str
    effect: float
    margin: float


def distance(one: Json, two: Json) -> float:
    """How far two Distributions of one policy's kind lie apart, on average over components."""
    apart = [
        abs(first["mean"] - second["mean"])
        for first, second in zip(one.get("dimensions", ()), two.get("dimensions", ()), strict=True)
    ]
    for first, second in zip(one.get("heads", ()), two.get("heads", ()), strict=True):
        shares = dict(zip(first["actions"], first["probabilities"], strict=True))
        others = dict(zip(second["actions"], second["probabilities"], strict=True))
        actions = shares.keys() | others.keys()
        apart.append(
            sum(abs(shares.get(each, 0.0) - others.get(each, 0.0)) for each in actions) / 2
        )
    return float(np.mean(apart)) if apart else 0.0


def influences(
    schema: ObservationSchema, observations: Sequence[Observation], weigh: Weigh, room: int
) -> list[Influence]:
    """The influence of every place that holds one value, the strongest first.

    Args:
        schema: What observations are.
        observations: In which places are moved; each has every field.
        weigh: Asks the policy.
        room: How many observations may be asked about for each of them.
    """
    found: dict[str, list[float]] = {}
    for observation, now in zip(observations, weigh(observations), strict=True):
        for curve in curves_of(schema, observation, weigh, room):
            apart = [distance(now, each) for each in curve.weighed]
            found.setdefault(curve.place.name, []).append(float(np.mean(apart)))
    ranked = [
        Influence(
            name,
            float(np.mean(effects)),
            float(margins(np.array(effects)[:, None])[0]) if len(effects) > 1 else 0.0,
        )
        for name, effects in found.items()
    ]
    return sorted(ranked, key=lambda each: -each.effect)
