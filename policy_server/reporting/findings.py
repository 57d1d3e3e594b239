"""What a version does, found out by asking it: decisions explained, fields ranked, a map."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from policy_server.contract.fields.field import Value
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.explaining.contributions import Contributions, contributions
from policy_server.explaining.curves import Curve, curves_of, strongest
from policy_server.explaining.influence import Influence, influences
from policy_server.explaining.nearest import Change, nearest_changes
from policy_server.explaining.places import backgrounds, moved
from policy_server.explaining.quantity import Json, Quantity, Weigh, quantities_of
from policy_server.proving.golden import read_golden
from policy_server.version.parts import Part, uploaded_file

ROOM = 2_000
"""Observations that one answer is made of; networks that are slow take their time."""
RANKED_IN, RANKED_ROOM = 100, 120
MOST_EXPLAINED = 3
MAP_POINTS = 25
"""Along each side."""
RECORDED, RANDOM = "Golden case", "Random valid observation"


@dataclass(frozen=True)
class Explained:
    """A decision, explained.

    Attributes:
        words: Which observation it is about.
        decided: The decision, in words.
        parts: What contributes to it.
        changes: The nearest that change it.
        curves: Those along which it moves farthest.
    """

    words: str
    observation: Observation
    decided: str
    parts: Contributions
    changes: list[Change]
    curves: list[Curve]


@dataclass(frozen=True)
class PolicyMap:
    """What is decided over two places, the rest of an observation held.

    Attributes:
        across: The place along the x axis, and its values.
        upwards: The one along the y axis.
        weighed: The Distribution at each point, row by row from below.
    """

    quantity: Quantity
    across: tuple[str, list[Value]]
    upwards: tuple[str, list[Value]]
    weighed: list[Json]


@dataclass(frozen=True)
class Findings:
    """What asking a version found out."""

    explained: list[Explained]
    influences: list[Influence]
    policy_map: PolicyMap | None


def decided_words(weighed: Json) -> str:
    """The most probable action of a Distribution, in words."""
    return ", ".join(each.decided_words(weighed) for each in quantities_of(weighed))


def golden_observations(folder: Path, limit_bytes: int) -> list[tuple[str, Observation]]:
    """The observations of a version's golden cases, each once, with their places in the file.

    Raises:
        UploadRejected: The golden cases cannot be read.
    """
    file = uploaded_file(folder, Part.GOLDEN)
    if not file.is_file():
        return []
    cases = read_golden(file, limit_bytes)
    found: dict[bytes, str] = {}
    for place, text in zip(cases.places, cases.observations or (), strict=False):
        found.setdefault(text, place)
    return [(place, json.loads(text)) for text, place in found.items()]


def find(
    schema: ObservationSchema, golden: Sequence[tuple[str, Observation]], weigh: Weigh
) -> Findings:
    """Ask a version.

    Args:
        schema: What observations are.
        golden: Real ones; random ones are taken where there are none.
        weigh: Asks it.
    """
    named = [(f"{RECORDED}, {place}", observation) for place, observation in golden]
    if not named:
        drawn = random_observations(schema, MOST_EXPLAINED, 1)
        named = [(f"{RANDOM} {number + 1}", each) for number, each in enumerate(drawn)]
    explained = [_explained(schema, *each, weigh) for each in _spread(named, MOST_EXPLAINED)]
    ranked = influences(schema, backgrounds(schema, RANKED_IN, 0), weigh, RANKED_ROOM)
    return Findings(explained, ranked, _map(explained[0], weigh))


def _spread(named: Sequence[tuple[str, Observation]], most: int) -> list[tuple[str, Observation]]:
    """Some of them, evenly from first to last."""
    count = min(most, len(named))
    return [named[index * (len(named) - 1) // max(1, count - 1)] for index in range(count)]


def _explained(
    schema: ObservationSchema, words: str, observation: Observation, weigh: Weigh
) -> Explained:
    (weighed,) = weigh([observation])
    quantity = quantities_of(weighed)[0]
    curves = curves_of(schema, observation, weigh, ROOM)
    return Explained(
        words,
        observation,
        decided_words(weighed),
        contributions(schema, observation, weigh, quantity, room=ROOM),
        nearest_changes(observation, curves, weigh, quantity, ROOM),
        strongest(curves, quantity, len(curves)),
    )


def _map(explained: Explained, weigh: Weigh) -> PolicyMap | None:
    """A map over the two numbers along which the decision moves farthest, if there are two."""
    numeric = [each for each in explained.curves if each.field.numeric][:2]
    if len(numeric) < 2:
        return None
    across, upwards = (
        (each.place, each.field.spread(*each.field.span(each.now), MAP_POINTS)) for each in numeric
    )
    asked = [
        moved(explained.observation, {across[0].path: x, upwards[0].path: y})
        for y in upwards[1]
        for x in across[1]
    ]
    return PolicyMap(
        explained.parts.quantity,
        (across[0].name, across[1]),
        (upwards[0].name, upwards[1]),
        [*weigh(asked)],
    )
