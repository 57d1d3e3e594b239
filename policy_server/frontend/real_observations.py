"""Real observations: those decided on in this visit, rows of a CSV file, golden cases."""

import hashlib
import json
from dataclasses import dataclass

import streamlit as st

from policy_server.contract.schema import Observation
from policy_server.frontend.rows import read_layout, read_rows
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch
from policy_server.frontend.wording import plain

READ = "real:read"
GOLDEN_CASES = ".jsonl"


@dataclass(frozen=True)
class Source:
    """Observations, and where they come from, in a sentence."""

    observations: tuple[Observation, ...]
    words: str


@dataclass(frozen=True)
class FileRead:
    """What is in a file: its valid observations, and what was left out, in words."""

    observations: list[Observation]
    left_out: list[str]


def of_visit(service: Service) -> Source | None:
    """The observations that were decided on in this visit; says so where there is none."""
    found = []
    for row in st.session_state.get("history", []):
        observation = json.loads(row["observation"])
        if _is_valid(observation, service) and observation not in found:
            found.append(observation)  # others were decided on by another schema
    if not found:
        st.info("There is none yet: press **Decide** first.")
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
        found = _read(file.name, file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if not found.observations:
        st.warning("The file has no valid row.")
        return None
    if found.left_out:
        st.caption(plain(f"Left out: {'; '.join(found.left_out)}."))
    return _fitting(found.observations, "row", f"of {file.name}.")


def _read(name: str, content: bytes, service: Service) -> FileRead:
    """What is in a file, which is read once."""
    digest = f"{service.schema.digest}:{hashlib.sha256(content).hexdigest()}"
    kept: tuple[str, FileRead] | None = st.session_state.get(READ)
    if kept is None or kept[0] != digest:
        with st.spinner("The file is read ..."):
            golden = name.endswith(GOLDEN_CASES)
            kept = (digest, (golden_cases if golden else _csv)(content, service))
        st.session_state[READ] = kept
    return kept[1]


def _csv(content: bytes, service: Service) -> FileRead:
    layout = read_layout(content, service)
    found = read_rows(content, service, layout)
    left = [f"{len(found.rejected):,} rows are not valid"] if found.rejected else []
    left += [f"no fields are {', '.join(layout.extra)}"] if layout.extra else []
    return FileRead([row.observation for row in found.rows], left)


def golden_cases(content: bytes, service: Service) -> FileRead:
    """The observations of golden cases, one a line.

    Raises:
        ValueError: A line is none.
    """
    found: list[Observation] = []
    rejected = 0
    for number, line in enumerate(content.decode("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            observation = json.loads(line)["observation"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"Line {number} of the file is no golden case.") from error
        if _is_valid(observation, service):
            found.append(observation)
        else:
            rejected += 1
    return FileRead(found, [f"{rejected:,} cases are not valid"] if rejected else [])


def _is_valid(observation: object, service: Service) -> bool:
    try:
        service.decoder.convert(observation)
    except ValueError:  # msgspec's are among them
        return False
    return True


def _fitting(found: list[Observation], noun: str, where: str) -> Source:
    """As many as one request takes."""
    count = largest_batch(max(found, key=lambda each: len(str(each))))
    taken = tuple(found[:count])
    begin = "The first " if len(taken) < len(found) else ""
    return Source(taken, f"{begin}{len(taken):,} {noun}{'' if len(taken) == 1 else 's'} {where}")
