"""The observation that is being filled in; every part of the page works with the same one."""

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.contract.schema import Observation
from policy_server.frontend.service import Service


@dataclass(frozen=True)
class Entered:
    """What a form shows.

    Attributes:
        observation: What is sent, where nothing is wrong.
        faults: Why it cannot be sent, in sentences.
    """

    observation: Observation
    faults: tuple[str, ...] = ()


@dataclass
class Draft:
    """An observation in the making.

    Attributes:
        values: Of every field, those that are not sent included.
        sent: Names of the optional fields that are sent.
        generation: Grows whenever the values come from elsewhere than the form, which then
            shows them in new controls.
        faults: What is wrong with what was entered, by field, in a sentence; its value is the last
            that was right.
    """

    values: dict[str, Value]
    sent: list[str]
    generation: int = 0
    faults: dict[str, str] = field(default_factory=dict)

    def load(self, observation: Observation) -> None:
        """Take over a whole observation."""
        self.sent = [name for name in self.values if name in observation]
        self.values |= observation
        self.faults.clear()
        self.generation += 1

    def observation(self, service: Service) -> Observation:
        """The observation as it would be sent now."""
        return {
            name: value
            for name, value in self.values.items()
            if name in service.schema.required or name in self.sent
        }


def draft_of(service: Service) -> Draft:
    """This visitor's draft for a service; begins with the example."""
    key = f"draft:{service.schema.digest}"
    if key not in st.session_state:
        rng = np.random.default_rng(0)
        values: dict[str, Value] = {}
        for name, each in service.schema.fields.items():
            given = each.example if each.example is not None else each.default
            values[name] = given if given is not None else each.sample(rng)
        draft = Draft(values, [])
        draft.load(service.example())
        st.session_state[key] = draft
    kept: Draft = st.session_state[key]
    return kept
