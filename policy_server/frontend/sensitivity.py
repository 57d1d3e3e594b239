"""Which fields matter: how often a decision changes when one field moves over its range."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields.field import Field, Scalar, Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.frontend.renderers.registry import renderer_of
from policy_server.frontend.renderers.renderer import Renderer, Taken
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import Batch, decide_batch, largest_batch

MOST_VALUES, LEAST_VALUES = 9, 2
MOST_OBSERVATIONS = 100
"""In one round, which is one request."""
ROUNDS = 5
NARROW = 0.05
"""Rounds end where no interval is wider, to either side, than this share of the largest effect."""
DEVIATIONS = 1.96
"""To either side of a mean, for 95 %."""


@dataclass(frozen=True)
class Influence:
    """What moving one field does.

    Attributes:
        name: The field's.
        effect: How much decisions change, as the renderer measures it: a mean over observations.
        margin: So far to either side of it the mean over all observations lies, 95 times in 100.
    """

    name: str
    effect: float
    margin: float


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


def measure(
    service: Service, seed: int = 0, progress: Callable[[float], object] = lambda share: None
) -> Sensitivity:
    """Move each field in random valid observations, the rest held.

    There are as many observations as it takes for narrow intervals, in at most ROUNDS requests.

    Args:
        service: Is asked.
        seed: Of observations and values.
        progress: Called with the share of the requests that were answered.

    Raises:
        RequestFailed: The server does not answer, or refuses; another version is active.
    """
    plan = _plan(service, seed)
    effects = np.empty((len(plan.fields), 0))
    version: str | None = None
    for done in range(ROUNDS):
        decided = _round(service, plan, seed + done, version)
        version = decided.version
        renderer = renderer_of(decided.decisions[0])
        found = renderer.effects(*_taken(decided, plan))
        effects = np.concatenate([effects, found], axis=1)
        progress((done + 1) / ROUNDS)
        if _margins(effects).max() <= NARROW * effects.mean(axis=1).max():
            break
    influences = [
        Influence(name, float(effect), float(margin))
        for name, effect, margin in zip(
            plan.fields, effects.mean(axis=1), _margins(effects), strict=True
        )
    ]
    influences.sort(key=lambda each: -each.effect)
    left_out = len(service.schema.featured) - len(plan.fields)
    return Sensitivity(tuple(influences), renderer, effects.shape[1], left_out, str(version))


class _Plan(NamedTuple):
    """How many observations and values of each field make a round."""

    fields: dict[str, Field]
    observations: int
    values: int


def _plan(service: Service, seed: int) -> _Plan:
    room = largest_batch(service.random_observation(seed))
    fields = dict(list(service.schema.featured.items())[: max(1, room // (LEAST_VALUES + 1) - 1)])
    count = int(np.clip(room // (len(fields) * LEAST_VALUES + 1), 1, MOST_OBSERVATIONS))
    values = int(np.clip((room // count - 1) // len(fields), LEAST_VALUES, MOST_VALUES))
    return _Plan(fields, count, values)


def _round(service: Service, plan: _Plan, seed: int, version: str | None) -> Batch:
    rng = np.random.default_rng(seed)
    # Moved fields are sent, so each observation has all of them.
    drawn = random_observations(service.schema, plan.observations, seed)
    bases = [_complete(service, each) for each in drawn]
    batch: list[Observation] = [*bases]
    for name, field in plan.fields.items():
        for value in _moves(field, plan.values, rng):
            batch += [{**base, name: value} for base in bases]
    return decide_batch(service.client, batch, version)


def _taken(decided: Batch, plan: _Plan) -> tuple[Taken, Taken]:
    """The decisions before and after fields were moved."""
    count, shape = plan.observations, (len(plan.fields), plan.values, plan.observations)
    actions = np.array([each.actions for each in decided.decisions], dtype=np.float64)
    sure = np.array(
        [1.0 if each.certainty is None else each.certainty for each in decided.decisions]
    )
    before = Taken(actions[:count], sure[:count])
    return before, Taken(actions[count:].reshape(*shape, -1), sure[count:].reshape(shape))


def _margins(effects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the width of the interval of each mean, float64[fields]; of one observation nothing."""
    count = effects.shape[1]
    if count < 2:
        return np.full(len(effects), np.nan)
    return np.asarray(DEVIATIONS * effects.std(axis=1, ddof=1) / np.sqrt(count))


def _complete(service: Service, observation: Observation) -> Observation:
    return {**service.random_observation(len(observation)), **observation}


def _moves(field: Field, count: int, rng: np.random.Generator) -> list[Value]:
    """Exactly `count` values of a field, over its range as evenly as it has them."""
    if not isinstance(field, Scalar):
        return [field.sample(rng) for _ in range(count)]
    found = field.spread(*field.span(0), count)
    return [found[index * len(found) // count] for index in range(count)]
