"""What the page says once the front-end has ended, and its script can say nothing any more."""

import streamlit as st

STOPPED = "The front-end has stopped."
REMEDY = "Start it again with streamlit run frontend.py; this page then goes on by itself."
SCRIPT = f"""
if (!window.policyServerWatches) {{
  window.policyServerWatches = true;
  const theirs = /Streamlit server is not responding|Is Streamlit still running/;
  new MutationObserver(() => {{
    for (const dialog of document.querySelectorAll("[role=dialog]")) {{
      if (!theirs.test(dialog.innerText)) continue;
      const [title, words] = [dialog.querySelector("h2"), dialog.querySelector("h2 + div")];
      if (!title || !words) continue;
      title.textContent = "{STOPPED}";
      words.textContent = "{REMEDY}";
    }}
  }}).observe(document.body, {{childList: true, subtree: true}});
}}
"""


def watch() -> None:
    """Let the browser say so in our words: Streamlit's own speak of Streamlit and the internet."""
    st.html(f"<script>{SCRIPT}</script>", unsafe_allow_javascript=True)
