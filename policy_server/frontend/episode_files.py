"""Recorded episodes: of a CSV file with a column that names them, or of golden cases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policy_server.frontend.decision_rows import DECIDED
from policy_server.frontend.real_observations import (
    GOLDEN_CASES,
    FileRead,
    RealObservation,
    Recorded,
    golden_cases,
    is_number,
)
from policy_server.frontend.rows import Layout, Row, read_layout, read_rows
from policy_server.frontend.service import Service

EPISODE, REWARD, ACTION = "episode", "reward", "action"
"""Names of columns of a CSV file; actions of several components are `action[0]` and so on."""
MAX_STEPS = 2_000
"""Of an episode that are shown: each is decided anew."""


@dataclass(frozen=True)
class Episode:
    """An episode that was recorded, as far as it is shown.

    Attributes:
        name: As its file calls it.
        steps: At least one, in order.
        more: How many steps follow that are not shown.
    """

    name: str
    steps: tuple[RealObservation, ...]
    more: int = 0


@dataclass(frozen=True)
class EpisodesRead:
    """What is in a file: its episodes, by name, and what was left out, in words."""

    episodes: dict[str, Episode]
    left_out: tuple[str, ...]


def read_episodes(name: str, content: bytes, service: Service) -> EpisodesRead:
    """Read the episodes of a CSV file, or of golden cases.

    Args:
        name: Of the file; golden cases end with `.jsonl`.
        content: Of the file.
        service: Says what is valid.

    Raises:
        ValueError: It has none, and what it lacks.
    """
    golden = name.endswith(GOLDEN_CASES)
    found = (golden_cases if golden else _csv)(name, content, service)
    what = "case" if golden else "row"
    return episodes_of(found.real, found.left_out, f"valid {what} of the file")


def episodes_of(
    found: Sequence[RealObservation], left_out: Sequence[str], what: str
) -> EpisodesRead:
    """The episodes that observations are steps of.

    Args:
        found: In order; those that are of no episode are left out.
        left_out: What was left out before, in words.
        what: Each of them is, such as `valid row of the file`.

    Raises:
        ValueError: None is of an episode.
    """
    steps: dict[str, list[RealObservation]] = {}
    for real in found:
        if real.episode is not None:
            steps.setdefault(real.episode, []).append(real)
    if not steps:
        raise ValueError(f"No {what} names the episode that it is a step of, as `{EPISODE}`.")
    left = list(left_out)
    alone = sum(real.episode is None for real in found)
    if alone:
        left.append(f"{alone:,} of no episode")
    return EpisodesRead({each: _episode(each, real) for each, real in steps.items()}, tuple(left))


def _episode(name: str, steps: Sequence[RealObservation]) -> Episode:
    return Episode(name, tuple(steps[:MAX_STEPS]), max(0, len(steps) - MAX_STEPS))


def _csv(name: str, content: bytes, service: Service) -> FileRead:
    layout = read_layout(content, service)
    if _called(EPISODE, layout) not in layout.header:
        raise ValueError(
            f"The file has no column `{EPISODE}`, which says of each row which episode it is a "
            "step of."
        )
    found = read_rows(content, service, layout)
    left = [f"{len(found.rejected):,} not valid"] if found.rejected else []
    return FileRead([_step(row, layout, name) for row in found.rows], left)


def _step(row: Row, layout: Layout, name: str) -> RealObservation:
    """A row, with what its columns beside the fields say."""
    cells = dict(zip(layout.header, row.cells, strict=False))
    action, reward = _called(ACTION, layout), _called(REWARD, layout)
    taken = [
        column
        for column, place in zip(layout.header, layout.places, strict=True)
        if place is None and (column == action or column.startswith(f"{action}["))
    ]
    actions = list(_numbers((cells.get(each, "") for each in taken), layout))
    rewards = [] if reward not in cells else list(_numbers([cells[reward]], layout))
    return RealObservation(
        row.observation,
        f"line {row.line} of {name}",
        Recorded(tuple(actions)) if actions and len(actions) == len(taken) else None,
        cells.get(_called(EPISODE, layout), "").strip() or None,
        rewards[0] if rewards else None,
    )


def _called(name: str, layout: Layout) -> str:
    """What a column is called: files that were written here set it off from a field's name."""
    apart = f"{DECIDED}{name}"
    found = any(each == apart or each.startswith(f"{apart}[") for each in layout.header)
    return apart if found else name


def _numbers(cells: Iterable[str], layout: Layout) -> Iterable[float]:
    """Those of the cells that are numbers."""
    for cell in cells:
        text = cell.strip().replace(",", ".") if layout.has_decimal_commas else cell.strip()
        try:
            number = float(text)
        except ValueError:
            continue  # nothing is recorded there
        if is_number(number):
            yield number
