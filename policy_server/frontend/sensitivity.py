"""Which fields matter: how often a decision changes when one field moves over its range."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.frontend.renderers.registry import renderer_of
from policy_server.frontend.renderers.renderer import Renderer
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Batch, decide_batch, largest_batch

MOST_VALUES, LEAST_VALUES = 9, 2
MOST_OBSERVATIONS = 50


@dataclass(frozen=True)
class Influence:
    """What moving one field does.

    Attributes:
        name: The field's.
        effect: How much decisions change, as the renderer measures it.
    """

    name: str
    effect: float


@dataclass(frozen=True)
class Sensitivity:
    """The influence of every field, the strongest first.

    Attributes:
        renderer: Says what effects are.
        observations: How many valid random observations each field was moved in.
        left_out: Fields that did not fit into one request.
        version: Of the policy that decided.
    """

    influences: tuple[Influence, ...]
    renderer: Renderer
    observations: int
    left_out: int
    version: str


def measure(service: Service, seed: int = 0) -> Sensitivity:
    """Move each field in random valid observations, the rest held; one request.

    Raises:
        RequestFailed: The server does not answer, or refuses.
    """
    rng = np.random.default_rng(seed)
    whole = service.random_observation(seed)
    room = largest_batch(whole)
    fields = dict(list(service.schema.featured.items())[: max(1, room // (LEAST_VALUES + 1) - 1)])
    count = int(np.clip(room // (len(fields) * LEAST_VALUES + 1), 1, MOST_OBSERVATIONS))
    values = int(np.clip((room // count - 1) // len(fields), LEAST_VALUES, MOST_VALUES))
    # Moved fields are sent, so each observation has all of them.
    bases = [_complete(service, each) for each in random_observations(service.schema, count, seed)]
    batch: list[Observation] = [*bases]
    for name, field in fields.items():
        for value in _moves(field, values, rng):
            batch += [{**base, name: value} for base in bases]
    decided = decide_batch(service.client, batch)
    left_out = len(service.schema.featured) - len(fields)
    return _ranked(list(fields), decided, count, values, left_out)


def _complete(service: Service, observation: Observation) -> Observation:
    return {**service.random_observation(len(observation)), **observation}


def _moves(field: Field, count: int, rng: np.random.Generator) -> list[Value]:
    """Exactly `count` values of a field, over its range as evenly as it has them."""
    if not isinstance(field, Scalar):
        return [field.sample(rng) for _ in range(count)]
    found = field.spread(*field.span(0), count)
    return [found[index * len(found) // count] for index in range(count)]


def _ranked(
    names: Sequence[str], decided: Batch, count: int, values: int, left_out: int
) -> Sensitivity:
    decisions = decided.decisions
    renderer = renderer_of(decisions[0])
    actions = np.array([decision.actions for decision in decisions], dtype=np.float64)
    before = actions[:count]  # [observations, heads]
    after = actions[count:].reshape(len(names), values, count, -1)
    effects = renderer.effects(before, after)
    influences = [
        Influence(name, float(effect)) for name, effect in zip(names, effects, strict=True)
    ]
    influences.sort(key=lambda each: -each.effect)
    return Sensitivity(tuple(influences), renderer, count, left_out, decided.version)
