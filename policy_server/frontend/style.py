"""What the page looks like beyond the theme in `.streamlit/config.toml`."""

import streamlit as st

UNSEEN = "unseen"
"""Begin of the keys of containers for what only runs in the browser, and takes no room."""
THEMES = {
    "light": """
        :root { --paper: #fbfaf7; }
        [data-testid=stCaptionContainer] { opacity: 1 !important; }
        [data-testid=stCaptionContainer] * { color: #55616d !important; opacity: 1 !important; }
    """,
    "dark": """
        :root { --paper: #131b24; }
        [data-testid=stCaptionContainer] { opacity: 1 !important; }
        [data-testid=stCaptionContainer] * { color: #a9b6c2 !important; opacity: 1 !important; }
        [data-testid=stBaseButton-primary]:enabled *, [data-testid=stMultiSelect] span[title],
        [data-testid=stMultiSelect] [role=row] * { color: #131b24 !important; }
    """,
}
"""What is hard to read in Streamlit's own: captions, and white on the dark theme's colour.

Drawings are made for the background of the theme, their paper.
"""
CHARTS = """
    [data-testid=stVegaLiteChart] .marks { max-width: 100%; height: auto !important; }
    body:has([data-testid=stApp] :is(button, summary, a):focus:hover:not([aria-label^=Help]))
        [data-testid=stTooltipContent] { visibility: hidden; }
"""
"""Maps fit narrow windows; the tooltip of what was clicked covers nothing."""
ROOM = f"""
    [class*=st-key-{UNSEEN}] {{ display: none; }}
    [data-testid=stHeader] {{ height: 2.75rem; min-height: 2.75rem; }}
    [data-testid=stMainBlockContainer] {{ padding-top: 2.75rem; padding-bottom: 4rem; }}
    @media (min-width: 60rem) {{
        [data-testid=stHeader] {{ background: transparent; pointer-events: none; }}
        [data-testid=stHeader] button {{ pointer-events: auto; }}
        [data-testid=stMainBlockContainer] {{ padding-top: 0.75rem; }}
    }}
    [data-testid=stHeading] h1 {{ padding: 0; }}
    [data-testid=stHeading] h3 {{ padding: 0.25rem 0 1rem; }}
"""
"""The menu of Streamlit stands beside the first row, where there is a margin for it."""
FORCED = """
    @media (forced-colors: active) {
        [role=tab][aria-selected=true] { border-bottom: 3px solid Highlight !important; }
        [role=radio][aria-checked=true], [data-testid=stBaseButton-primary]:enabled,
        [data-testid=stCheckbox] label[data-selected] > div:has(> svg) {
            forced-color-adjust: none; background: Highlight !important;
            border-color: Highlight !important;
        }
        [role=radio][aria-checked=true] *, [data-testid=stBaseButton-primary]:enabled * {
            color: HighlightText !important;
        }
        [data-testid=stCheckbox] label[data-selected] svg { stroke: HighlightText !important; }
        [data-testid=stSlider] [role=group] > div { border-bottom: 1px solid CanvasText; }
        [data-testid=stSlider] [data-rac]:has(> div > input[type=range]) {
            forced-color-adjust: none; background: Highlight !important;
        }
        [data-testid=stImage] img {
            forced-color-adjust: none; background: var(--paper) !important;
        }
    }
"""
"""Who has colours of their own sees what is chosen: Streamlit says it by backgrounds, which go.

Drawings keep their colours, and with them the paper that these are seen on, as charts do.
"""


def apply() -> None:
    """Give the page its look, in the theme that is shown."""
    theme = THEMES[st.context.theme.type or "light"]
    st.html(f"<style>{ROOM}{CHARTS}{FORCED}{theme}</style>")
