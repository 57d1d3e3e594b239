"""On which observations two versions are compared, beside a map: random ones, or real ones."""

import streamlit as st

from policy_server.contract.samples import random_observations
from policy_server.frontend import address
from policy_server.frontend.real_choice import chosen as real_of_kind
from policy_server.frontend.real_choice import sources
from policy_server.frontend.real_observations import RealObservation, Source
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import largest_batch

RANDOM = "Random valid"
RANDOM_OBSERVATIONS = 1000
MAX_SEED = 2**32 - 1


def choose_source(service: Service) -> Source | None:
    """Show the controls; None where there is no observation."""
    left, detail = st.columns([3, 2])
    key, offered = "compare:on", [RANDOM, *sources(service)]
    address.choose(key, offered, RANDOM)
    kind = left.segmented_control(
        "Observations to compare on",
        offered,
        required=True,
        key=key,
        persist_state="session",
        help="Drawn at random within what the schema allows, or real ones: those that you decided "
        "on, golden cases of a version, or a CSV file as the view **File** takes it.",
    )
    with detail:
        if kind == RANDOM:
            return _random(service)
        return real_of_kind(str(kind), service, "CSV file to compare on", "compare:file")


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
    real = (
        RealObservation(each, f"random observation {number} of seed {seed}")
        for number, each in enumerate(drawn, 1)
    )
    return Source(tuple(real), f"{count:,} random valid observations of seed {seed}.")
