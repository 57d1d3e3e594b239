"""Golden cases that are steps of episodes."""

from collections.abc import Sequence
from typing import TypeAlias

from policy_server.contract.fields.field import shortened
from policy_server.errors import Fault, UploadRejected

EPISODE = "episode"
"""Says which episode a case is a step of."""
Episode: TypeAlias = int | str | None
"""The name or number of an episode; None for a case by itself."""
MAX_FAULTS = 20


def steps_of(episodes: Sequence[Episode]) -> list[int]:
    """Which step of its episode each case is, counted from 0; 0 of a case by itself."""
    counts: dict[Episode, int] = {}
    found = []
    for episode in episodes:
        step = 0 if episode is None else counts.get(episode, -1) + 1
        counts[episode] = step
        found.append(step)
    return found


def with_steps(places: Sequence[str], episodes: Sequence[Episode]) -> list[str]:
    """Where each case stands, with its episode and step if it has one."""
    return [
        place if episode is None else f"{place} (episode {shortened(str(episode))}, step {step})"
        for place, episode, step in zip(places, episodes, steps_of(episodes), strict=True)
    ]


def check_episodes(places: Sequence[str], episodes: Sequence[Episode]) -> None:
    """Raise UploadRejected unless each case is a step of an episode."""
    alone = [place for place, each in zip(places, episodes, strict=True) if each is None]
    if not alone:
        return
    remedy = (
        "What a policy with memory decides depends on the steps before: record whole episodes, in "
        "order, and give each case the name or number of its own, as `episode`."
    )
    if len(alone) == len(places):
        raise UploadRejected(f"The golden cases are single ones. {remedy}")
    faults = [Fault(place, "it has no `episode`, and others do.") for place in alone]
    raise UploadRejected(f"Some golden cases are single ones. {remedy}", faults[:MAX_FAULTS])
