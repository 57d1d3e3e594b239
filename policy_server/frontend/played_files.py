"""Episodes that were played here as a CSV file, which the view takes again."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from policy_server.contract.schema import Observation
from policy_server.frontend.csv_cells import written
from policy_server.frontend.decision_rows import (
    DECIDED,
    decision_cells,
    decision_columns,
)
from policy_server.frontend.episode_files import EPISODE, REWARD
from policy_server.frontend.playing import Played, PlayedStep

VERSION, SCHEMA = "version", "schema"


def write_episodes(episodes: Sequence[Played]) -> bytes:
    """Episodes of one schema, a row for each step.

    What was decided comes first: episode, version, schema, action, reward. Columns of these that a
    field is called, too, begin with `decided.`. Lists are JSON; what is not sent is empty.

    Args:
        episodes: Of one schema; at least one.
    """
    fields = episodes[0].fields
    told = [(_told(played, step), step) for played in episodes for step in played.steps]
    columns = list(dict.fromkeys(name for cells, _ in told for name in cells))
    rows: list[list[Any]] = [[*_apart(columns, fields), *fields]]
    for cells, step in told:
        decided = (cells.get(name, "") for name in columns)
        rows.append([*decided, *(_cell(step.observation, name) for name in fields)])
    return written(rows)


def _told(played: Played, step: PlayedStep) -> dict[str, Any]:
    """What is known of a step beside its observation, by column."""
    decision = step.decision
    cells = {EPISODE: played.name, VERSION: step.version, SCHEMA: played.schema}
    decided = dict(zip(decision_columns(decision), decision_cells(decision), strict=True))
    return cells | decided | {REWARD: "" if step.reward is None else step.reward}


def _apart(columns: Iterable[str], fields: Sequence[str]) -> Iterable[str]:
    """Names of columns that are neither a field nor an item of one."""
    for name in columns:
        taken = name in fields or name.partition("[")[0] in fields
        yield f"{DECIDED}{name}" if taken else name


def _cell(observation: Observation, name: str) -> Any:
    if name not in observation:
        return ""
    value = observation[name]
    return value if isinstance(value, str) else json.dumps(value)
