"""The form of a service without observations: the network's own input vector, as text."""

import math
import re

import streamlit as st

from policy_server.contract.fields.field import Value
from policy_server.frontend.draft import Entered

SEPARATORS = re.compile(r"[\s,;\[\]]+")


def vector_form() -> Entered:
    """Show the form."""
    st.markdown(
        "This service has no observations: clients send the numbers that the network takes, after "
        "whatever scaling it was trained with. The schema does not say what they mean, so nothing "
        "can be drawn or moved here."
    )
    entered = st.text_area(
        "Features",
        key="vector",
        placeholder="0.5, -1, 2.25",
        help="Numbers in the network's order, with commas or spaces between them. Where there are "
        "too few or too many, the server says how many it takes.",
    )
    numbers: list[Value] = []
    wrong = []
    for text in filter(None, SEPARATORS.split(entered or "")):
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            numbers.append(number)
        else:
            wrong.append(text)
    if wrong:
        return Entered({}, (f"{wrong[0][:40]} is no number.",))
    st.caption(f"{len(numbers)} numbers")
    return Entered({"obs": numbers})
