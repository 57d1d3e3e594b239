"""Episodes of policies with memory: played step by step, each with what it carries."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features
from policy_server.policy.memory import Memory

STEPS = 16
"""Of each episode that a proof plays."""
EPISODES = 32
"""That a proof plays side by side: with STEPS, hundreds of observations."""
MOST_NUMBERS = 2_000_000
"""Of states that a proof holds at once: of large ones it plays fewer episodes, and fewer rows."""
LEAST_EPISODES, LEAST_ROWS = 2, 64
Run = Callable[[Features], Floats]
"""Turns rows, features and then states, into outputs and then the next states."""


def episode_count(memory: Memory, features: Features) -> int:
    """How many episodes a proof plays side by side."""
    most = max(LEAST_EPISODES, MOST_NUMBERS // (STEPS * memory.width))
    return min(EPISODES, most, len(features))


def reached_rows(run: Run, memory: Memory | None, features: Features) -> Features:
    """Features with states that episodes of them reach, float32[B, F + S]; fewer, if S is large.

    Row after row the state is that of a later step, up to STEPS, and of the first one again.

    Args:
        run: Runs the network.
        memory: What it carries; None where there is nothing, and features are all of a row.
        features: float32[B, F].
    """
    if memory is None:
        return features
    features = features[: max(LEAST_ROWS, MOST_NUMBERS // memory.width)]
    rows = np.concatenate([features, memory.start(features)], axis=1)
    states = rows[:, features.shape[1] :].copy()
    for step in range(1, STEPS):
        given = np.concatenate([np.roll(features, step, axis=0), states], axis=1)
        states = run(given)[:, -memory.width :]
        rows[step::STEPS, features.shape[1] :] = states[step::STEPS]
    return rows


def played(run: Run, memory: Memory, features: Features) -> Floats:
    """What a network puts out in episodes of STEPS, float32[STEPS * E, W + S].

    Args:
        run: Runs it.
        memory: What it carries.
        features: float32[B, F], which the episodes observe in turn.
    """
    places = np.arange(episode_count(memory, features))
    observed = features[places]
    states, found = memory.start(observed), []
    for step in range(STEPS):
        observed = features[(places + step * len(places)) % len(features)]
        outputs = run(np.concatenate([observed, states], axis=1))
        states = outputs[:, -memory.width :]
        found.append(outputs)
    return np.concatenate(found)


def replayed(run: Run, width: int, rows: Features, episodes: Sequence[Hashable]) -> Floats:
    """What a policy puts out for steps of episodes, which may be interleaved.

    Args:
        run: Runs it; the first steps of several episodes together, then the second ones, and so on.
        width: S, of the states at the end of rows and of what is put out.
        rows: As if each were the first of an episode.
        episodes: Which each belongs to, in the order of its steps.

    Returns:
        Outputs and next states of each row.
    """
    steps: dict[int, list[int]] = {}
    counts: dict[Hashable, int] = {}
    for row, episode in enumerate(episodes):
        step = counts[episode] = counts.get(episode, -1) + 1
        steps.setdefault(step, []).append(row)
    last: dict[Hashable, int] = {}
    found: list[Floats] = [np.empty(0, np.float32)] * len(rows)
    for step, places in steps.items():
        given = rows[places]
        if step:
            given[:, -width:] = [found[last[episodes[place]]][-width:] for place in places]
        for place, outputs in zip(places, run(given), strict=True):
            found[place], last[episodes[place]] = outputs, place
    return np.stack(found)
