"""On which observations two versions are compared, beside a map: random ones, or real ones."""

import hashlib
import json
from dataclasses import dataclass

import streamlit as st

from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.frontend import address
from policy_server.frontend.rows import Layout, Rows, read_layout, read_rows
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch
from policy_server.frontend.wording import plain

RANDOM, VISIT, FILE = "Random valid", "Decided on in this visit", "Rows of a file"
RANDOM_OBSERVATIONS = 1000
MAX_SEED = 2**32 - 1
READ = "compare:read"


@dataclass(frozen=True)
class Source:
    """Observations, and where they come from, in a sentence."""

    observations: tuple[Observation, ...]
    words: str


def choose_source(service: Service) -> Source | None:
    """Show the controls; None where there is no observation."""
    chosen, detail = st.columns([3, 2])
    key = "compare:on"
    address.choose(key, [RANDOM, VISIT, FILE], RANDOM)
    kind = chosen.segmented_control(
        "Observations to compare on",
        [RANDOM, VISIT, FILE],
        required=True,
        key=key,
        persist_state="session",
        help="Drawn at random within what the schema allows, or real ones: those that you decided "
        "on, or a CSV file as the view **File** takes it.",
    )
    with detail:
        if kind == FILE:
            return _of_file(service)
        return _of_visit(service) if kind == VISIT else _random(service)


def _random(service: Service) -> Source:
    address.choose_number("compare:seed", MAX_SEED)
    seed: int = st.number_input(
        "Seed of the observations",
        min_value=0,
        max_value=MAX_SEED,
        value=0,
        step=1,
        key="compare:seed",
        persist_state="session",
        help="The same seed draws the same observations.",
    )
    count = min(RANDOM_OBSERVATIONS, largest_batch(service.random_observation(seed)))
    drawn = random_observations(service.schema, count, seed)
    return Source(tuple(drawn), f"{count:,} random valid observations of seed {seed}.")


def _of_visit(service: Service) -> Source | None:
    found = []
    for row in st.session_state.get("history", []):
        observation = json.loads(row["observation"])
        try:
            service.decoder.convert(observation)
        except ValueError:  # msgspec's are among them
            continue  # it was decided on by another schema
        if observation not in found:
            found.append(observation)
    if not found:
        st.info("There is none yet: press **Decide** first.")
        return None
    return _fitting(found, "observation", "of this visit.")


def _of_file(service: Service) -> Source | None:
    file = st.file_uploader(
        "CSV file to compare on",
        type="csv",
        key="compare:file",
        help="With a column for each field; other columns are left out.",
    )
    if file is None:
        return None
    try:
        layout, found = _read(file.getvalue(), service)
    except ValueError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
    if not found.rows:
        st.warning("The file has no valid row.")
        return None
    left = [f"{len(found.rejected):,} rows are not valid"] if found.rejected else []
    left += [f"no fields are {', '.join(layout.extra)}"] if layout.extra else []
    if left:
        st.caption(plain(f"Left out: {'; '.join(left)}."))
    return _fitting([row.observation for row in found.rows], "row", f"of {file.name}.")


def _read(content: bytes, service: Service) -> tuple[Layout, Rows]:
    """What is in a file, which is read once."""
    name = hashlib.sha256(content).hexdigest()
    kept: tuple[str, Layout, Rows] | None = st.session_state.get(READ)
    if kept is None or kept[0] != name:
        with st.spinner("The file is read ..."):
            layout = read_layout(content, service)
            kept = (name, layout, read_rows(content, service, layout))
        st.session_state[READ] = kept
    return kept[1], kept[2]


def _fitting(found: list[Observation], noun: str, where: str) -> Source:
    """As many as one request takes."""
    count = largest_batch(max(found, key=lambda each: len(str(each))))
    taken = tuple(found[:count])
    begin = "The first " if len(taken) < len(found) else ""
    return Source(taken, f"{begin}{len(taken):,} {noun}{'' if len(taken) == 1 else 's'} {where}")
