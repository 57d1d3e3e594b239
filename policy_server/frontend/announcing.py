"""What came of a press on Decide, said to those who hear the page instead of seeing it."""

import json
import secrets
from collections.abc import Mapping

import streamlit as st

from policy_server.frontend import style
from policy_server.frontend.answers import Decision, number, percent

REGION = "policy-server-said"
SAID = "said"
MAX_CHARACTERS = 300
"""Of the words of a decision; who wants more finds it on the page."""
NOTHING = "Nothing was decided."
PAUSE_MILLISECONDS = 100
BEGIN = f"""
if (!document.getElementById("{REGION}")) {{
  const region = document.createElement("div");
  region.id = "{REGION}";
  region.setAttribute("role", "status");
  region.setAttribute("aria-live", "polite");
  region.setAttribute("aria-atomic", "true");
  region.style.cssText =
    "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
  document.body.append(region);
}}
"""
"""Screen readers listen to what was there before its words change, and Streamlit draws its own
parts anew: so the region lies outside of these."""
SAY = f"""
((press, words) => {{
  const region = document.getElementById("{REGION}");
  if (!region || region.dataset.press === press) return;
  region.dataset.press = press;
  region.textContent = "";
  setTimeout(() => {{
    if (region.dataset.press === press) region.textContent = words;
  }}, {PAUSE_MILLISECONDS});
}})
"""
"""Once for each press: a view that is looked at again says nothing. Words that are the same as
before are heard again, as the region is empty between."""


def begin() -> None:
    """Put the place for the words on the page, where it stays."""
    st.html(f"<script>{BEGIN}</script>", unsafe_allow_javascript=True)


def keep(words: str) -> None:
    """Keep what came of a press; `tell` says it."""
    st.session_state[SAID] = (secrets.token_hex(8), words)


def tell() -> None:
    """Say what came of the last press, once."""
    said: tuple[str, str] | None = st.session_state.get(SAID)
    if said is None:
        return
    with st.container(key=f"{style.UNSEEN}_{SAID}"):
        script = f"{SAY}({literal(said[0])}, {literal(said[1])});"
        st.html(f"<script>{script}</script>", unsafe_allow_javascript=True)


def literal(text: str) -> str:
    """A text of others as JavaScript within HTML, neither of which it can end."""
    escaped = json.dumps(text)  # of ASCII alone: no line separators
    return escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def sentence(decision: Decision, version: str, units: Mapping[str, str]) -> str:
    """A decision in one short sentence: what, which action, how probable, by which version.

    Args:
        decision: What was decided.
        version: Of the policy that decided.
        units: Of declared actions, by their names.
    """
    words, numbers = _short(decision.worded(units)), _short(decision.numbers)
    name = "actions" if len(decision.actions) > 1 else "action"
    told = [f"{name} {numbers}"] if words == numbers else [words, f"{name} {numbers}"]
    if decision.certainty is not None:
        share = decision.likelihood == "probability"
        likely = percent(decision.certainty) if share else number(decision.certainty)
        told.append(f"{decision.likelihood} {likely}")
    return f"Decided: {', '.join(told)}, by version {version}."


def _short(words: str) -> str:
    """In one line, as long as somebody listens."""
    line = " ".join(words.split())
    return line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS].rstrip()} ..."
