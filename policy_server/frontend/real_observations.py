"""Real observations, and how they are read: rows of a CSV file, golden cases."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from policy_server.contract.schema import Observation
from policy_server.frontend.answers import Decision
from policy_server.frontend.rows import read_layout, read_rows
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch
from policy_server.frontend.wording import are, several

GOLDEN_CASES = ".jsonl"
TOLERANCE = 1e-3
"""Between real actions that are the same; relative where they exceed 1. Builds have it, too."""


@dataclass(frozen=True)
class Recorded:
    """What was decided on an observation at another time.

    Attributes:
        actions: One for each head or dimension.
        operation: By which the same is asked again.
        seed: Of that.
    """

    actions: tuple[float, ...]
    operation: str = "predict_deterministic"
    seed: int | None = None

    def is_same(self, decision: Decision) -> bool:
        """Whether a decision has these actions: numbered ones exactly, real ones nearly."""
        if len(self.actions) != len(decision.actions):
            return False
        return all(
            one == two if whole else math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            for whole, one, two in zip(
                decision.are_whole, self.actions, decision.actions, strict=True
            )
        )


@dataclass(frozen=True)
class RealObservation:
    """An observation and where it comes from.

    Attributes:
        observation: A valid one.
        label: Where it comes from: `line 17 of trips.csv`.
        recorded: What was decided on it; None where that is not known, or was drawn by chance.
        episode: Which it is a step of, as it is called; None where it is by itself.
        reward: Of the step, if that is recorded.
    """

    observation: Observation
    label: str
    recorded: Recorded | None = None
    episode: str | None = None
    reward: float | None = None


@dataclass(frozen=True)
class Source:
    """Observations, and where they come from, in a sentence."""

    real: tuple[RealObservation, ...]
    words: str

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The observations alone."""
        return tuple(each.observation for each in self.real)


@dataclass(frozen=True)
class FileRead:
    """What is in a file: its valid observations, and what was left out, in words."""

    real: list[RealObservation]
    left_out: list[str]


def csv_rows(name: str, content: bytes, service: Service) -> FileRead:
    """The observations of a CSV file's valid rows.

    Args:
        name: Of the file.
        content: Of the file.
        service: Says what is valid.

    Raises:
        ValueError: It is no CSV file of observations.
    """
    layout = read_layout(content, service)
    found = read_rows(content, service, layout)
    wrong = len(found.rejected)
    left = [f"{several(wrong, 'row')} {are(wrong)} not valid"] if wrong else []
    left += [f"no fields are {', '.join(layout.extra)}"] if layout.extra else []
    real = [RealObservation(row.observation, f"line {row.line} of {name}") for row in found.rows]
    return FileRead(real, left)


def golden_cases(name: str, content: bytes, service: Service) -> FileRead:
    """The observations of golden cases, one a line, with the actions that are recorded.

    Args:
        name: Of the file.
        content: Of the file.
        service: Says what is valid.

    Raises:
        ValueError: A line is none.
    """
    found: list[RealObservation] = []
    rejected = 0
    for number, line in enumerate(content.decode("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
            observation = case["observation"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"Line {number} of the file is no golden case.") from error
        if is_valid(observation, service):
            label = f"golden case in line {number} of {name}"
            episode, reward = case.get("episode"), case.get("reward")
            called = str(episode) if isinstance(episode, int | str) else None
            found.append(
                RealObservation(
                    observation,
                    label,
                    _of_case(case),
                    called,
                    float(reward) if is_number(reward) else None,
                )
            )
        else:
            rejected += 1
    return FileRead(found, [f"{rejected:,} cases are not valid"] if rejected else [])


def _of_case(case: dict[str, Any]) -> Recorded | None:
    """The most probable action that a golden case states."""
    stated = case.get("actions", case.get("action"))
    actions = stated if isinstance(stated, list) else [stated]
    numbers = [each for each in actions if is_number(each)]
    return Recorded(tuple(numbers)) if numbers and len(numbers) == len(actions) else None


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a file is a number that counts: it may hold any, and NaN."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
    )


def is_valid(observation: object, service: Service) -> bool:
    """Whether something is an observation that the service takes."""
    try:
        service.decoder.convert(observation)
    except ValueError:  # msgspec's are among them
        return False
    return True


def fitting(found: Sequence[RealObservation], noun: str, where: str) -> Source:
    """As many of them as one request takes, as a source.

    Args:
        found: At least one.
        noun: What each is.
        where: They come from, with the full stop of a sentence.
    """
    largest = max((each.observation for each in found), key=lambda each: len(str(each)))
    taken = tuple(found[: largest_batch(largest)])
    begin = "The first " if len(taken) < len(found) else ""
    return Source(taken, f"{begin}{several(len(taken), noun)} {where}")
