"""Real observations: those decided on in this visit, rows of a CSV file, golden cases."""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend import address
from policy_server.frontend.answers import Decision
from policy_server.frontend.rows import read_layout, read_rows
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch
from policy_server.frontend.wording import plain

READ = "real:read"
GOLDEN_CASES = ".jsonl"
FILE, VISIT = "Rows of a file", "Decided on in this visit"
TOLERANCE = 1e-3
"""Between real actions that are the same; relative where they exceed 1. Builds have it, too."""
SURE_DIGITS = 10_000
"""From here on, the history has not all digits of an action's number."""


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


def choose_real(service: Service, key: str) -> Source | None:
    """Show the controls that choose real observations; None where there is none.

    Args:
        service: Says what is valid.
        key: Tells the controls of one view from those of another.
    """
    address.choose(f"{key}:from", [FILE, VISIT], FILE)
    kind = st.segmented_control(
        "Where real observations come from",
        [FILE, VISIT],
        required=True,
        key=f"{key}:from",
        persist_state="session",
        help="A CSV file as the view **File** takes it, golden cases (`golden.jsonl`), or those "
        "that you decided on.",
    )
    if kind == VISIT:
        return of_visit(service)
    return of_file(service, "CSV file or golden cases", f"{key}:real")


def of_visit(service: Service) -> Source | None:
    """The observations that were decided on in this visit; says so where there is none."""
    found: list[RealObservation] = []
    seen: list[Observation] = []
    history = st.session_state.get("history", [])
    for number, row in zip(range(len(history), 0, -1), history, strict=True):
        observation = json.loads(row["observation"])
        if _is_valid(observation, service) and observation not in seen:
            seen.append(observation)  # others were decided on by another schema
            label = f"decision {number} of this visit ({row['time']})"
            found.append(RealObservation(observation, label, _of_history(row)))
    if not found:
        st.info("There is none yet: press **Decide** first.", icon=":material/info:")
        return None
    return _fitting(found, "observation", "of this visit.")


def of_file(service: Service, label: str, key: str) -> Source | None:
    """The observations of a file that a visitor chooses.

    Args:
        service: Says what is valid.
        label: Of the uploader.
        key: Of it in the page.
    """
    file = st.file_uploader(
        label,
        type=["csv", "jsonl"],
        key=key,
        help="CSV with a column for each field, other columns are left out; or golden cases, "
        "`golden.jsonl`.",
    )
    if file is None:
        return None
    try:
        source, left_out = _read(file.name, file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if source is None:
        st.warning("The file has no valid row.", icon=":material/warning:")
    elif left_out:
        st.caption(plain(f"Left out: {'; '.join(left_out)}."))
    return source


def _read(name: str, content: bytes, service: Service) -> tuple[Source | None, list[str]]:
    """What of a file fits into a request, and what was left out; a file is read once."""
    digest = f"{service.schema.digest}:{name}:{hashlib.sha256(content).hexdigest()}"
    kept: tuple[str, Source | None, list[str]] | None = st.session_state.get(READ)
    if kept is None or kept[0] != digest:
        with st.spinner("The file is read ..."):
            golden = name.endswith(GOLDEN_CASES)
            found = (golden_cases if golden else _csv)(name, content, service)
            source = _fitting(found.real, "row", f"of {name}.") if found.real else None
        kept = (digest, source, found.left_out)
        st.session_state[READ] = kept
    return kept[1], kept[2]


def _csv(name: str, content: bytes, service: Service) -> FileRead:
    layout = read_layout(content, service)
    found = read_rows(content, service, layout)
    left = [f"{len(found.rejected):,} rows are not valid"] if found.rejected else []
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
        if _is_valid(observation, service):
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


def _of_history(row: dict[str, Any]) -> Recorded | None:
    """What was decided in this visit; None where that was drawn without a seed."""
    if row["asked"] == "predict" and row["seed"] is None:
        return None
    actions = tuple(map(float, row["action"].split()))
    if any(abs(each) >= SURE_DIGITS for each in actions):
        return None
    return Recorded(actions, row["asked"], row["seed"])


def _is_valid(observation: object, service: Service) -> bool:
    try:
        service.decoder.convert(observation)
    except ValueError:  # msgspec's are among them
        return False
    return True


def _fitting(found: Sequence[RealObservation], noun: str, where: str) -> Source:
    """As many as one request takes."""
    largest = max((each.observation for each in found), key=lambda each: len(str(each)))
    taken = tuple(found[: largest_batch(largest)])
    begin = "The first " if len(taken) < len(found) else ""
    return Source(taken, f"{begin}{len(taken):,} {noun}{'' if len(taken) == 1 else 's'} {where}")
