"""The page that shows what a server does now: requests, latency, errors, connections, memory."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import altair as alt
import pandas as pd
import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import charts
from policy_server.frontend.client import Client
from policy_server.frontend.live_history import History
from policy_server.frontend.metrics_reading import Metrics, read_metrics
from policy_server.frontend.service import Service
from policy_server.frontend.wording import plain

LIVE, PAUSED = "live", "live:paused"
EVERY_SECONDS = 2.0
TURNED_AWAY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)
HEIGHT = 180
MEGABYTE = 1_000_000
Curves = dict[str, list[float | None]]
"""Of each what it is called, and its values; None where nothing is known."""


@dataclass
class Live:
    """What a visit knows of one server.

    Attributes:
        client: Of the server.
        token: Of its metrics; empty where none was typed.
        shown_paused: Whether the curves stood still when they were shown last.
        turned_away: The server does not let this page in; it is not asked again and again.
        typed: What stands in the box for the token.
    """

    client: Client
    token: str = field(default="", repr=False)
    shown_paused: bool = False
    turned_away: bool = False
    typed: str = field(default="", repr=False)
    history: History = field(default_factory=History)

    def read(self) -> None:
        """Read the metrics once more."""
        now = datetime.now(UTC)
        try:
            metrics = read_metrics(self.client.url, self.token)
        except RequestFailed as error:
            self.history.miss(str(error), now)
            self.turned_away = error.status in TURNED_AWAY
            if self.turned_away:
                self.token = ""  # a wrong one that is sent again would look like an attack
        else:
            self.history.add(metrics, time.monotonic(), now)


def token_of(service: Service) -> str:
    """The token of the metrics that this visit has typed; empty where it has none."""
    live = st.session_state.get(LIVE)
    return live.token if live is not None and live.client is service.client else ""


def show(service: Service) -> None:
    """Show the curves, read anew every EVERY_SECONDS."""
    st.subheader("What the server does now", anchor=False)
    live = st.session_state.get(LIVE)
    if live is None or live.client is not service.client:
        live = st.session_state[LIVE] = Live(service.client)
    with st.container(horizontal=True, vertical_alignment="center"):
        paused = st.toggle("Pause", key=PAUSED, help="Lets the curves stand still.")
        with st.popover(
            "Token of the metrics",
            icon=":material/key:",
            help="Where the server shows its metrics to nobody else.",
        ):
            _token(live)
    if not service.may_manage and not live.token:
        # This page connects from the server's machine, perhaps; its visitor does not.
        st.info(
            "The metrics need user and password, or the token of the metrics.",
            icon=":material/info:",
        )
    if live.turned_away:
        _turned_away(live)
    elif service.may_manage or live.token:
        _run(live, paused)


def _turned_away(live: Live) -> None:
    st.warning(plain(live.history.fault), icon=":material/cloud_off:")
    if st.button("Ask again", help="Reads the metrics, with the token if you have typed one."):
        live.turned_away = False
        st.rerun()


def _run(live: Live, paused: bool) -> None:
    if paused != live.shown_paused:
        live.shown_paused = paused
        st.rerun()  # the whole page: only that ends what is run every few seconds
    if paused:
        _show(live.history)
    else:
        _follow(live)


@st.fragment(run_every=EVERY_SECONDS)
def _follow(live: Live) -> None:
    live.read()
    if live.turned_away:
        st.rerun()
    _show(live.history)


def _token(live: Live) -> None:
    """A token that the metrics are read with; kept for this server as long as the visit."""
    if live.token:
        if st.button("Forget the token", help="Reads the metrics without it."):
            live.token = ""
            st.rerun()
        return
    typed = st.text_input(
        "Token",
        type="password",
        autocomplete="off",
        help="That of POLICY_SERVER_METRICS_TOKEN_FILE; it opens nothing but the metrics.",
    )
    if typed.strip() and typed != live.typed:
        live.token, live.turned_away = typed.strip(), False
        live.typed = typed
        st.rerun()
    live.typed = typed


def _show(history: History) -> None:
    if history.fault:
        st.warning(plain(history.fault), icon=":material/cloud_off:")
    if history.last is None:
        return
    _numbers(history, history.last)
    if not history.steps:
        st.caption("The curves begin with the next reading.")
        return
    _curves(history)
    _tables(history)


def _numbers(history: History, last: Metrics) -> None:
    """What is so now."""
    steps = history.steps
    rates = [steps[-1].rate(decisions=each) for each in (True, False)] if steps else []
    rate = sum(each or 0.0 for each in rates) if rates and None not in rates else None
    median, slow = (steps[-1].median, steps[-1].slow) if steps else (None, None)
    told = [
        ("Requests a second", _number(rate), "Answered since the reading before, of all kinds."),
        ("Median latency", _duration(median), "Of decisions, the last half a minute."),
        ("99 % within", _duration(slow), "Of decisions, the last half a minute."),
        ("Open connections", _number(last.connections), "Of clients, in all workers."),
        ("Waiting decisions", _number(last.waiting), "Whose turn has not come, in all workers."),
        ("Memory", f"{last.memory / MEGABYTE:,.0f} MB", f"Of all {last.workers:g} workers."),
    ]
    for column, (label, value, about) in zip(st.columns(len(told)), told, strict=True):
        column.metric(label, value, help=about)


def _curves(history: History) -> None:
    steps = [*history.steps]
    times = [step.at for step in steps]
    rates: Curves = {
        "for decisions": [step.rate(decisions=True) for step in steps],
        "others": [step.rate(decisions=False) for step in steps],
    }
    latencies: Curves = {
        "median": [_milliseconds(step.median) for step in steps],
        "99 % within": [_milliseconds(step.slow) for step in steps],
    }
    left, right = st.columns(2)
    with left:
        st.markdown("**Requests a second**")
        _draw(times, rates, "requests a second")
    with right:
        st.markdown("**Latency of decisions**")
        _draw(times, latencies, "milliseconds")


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _draw(times: Sequence[datetime], curves: Curves, unit: str) -> None:
    """Lines over the time, broken where nothing is known."""
    rows = [
        {"time": at, unit: value, "which": name}
        for name, values in curves.items()
        for at, value in zip(times, values, strict=True)
    ]
    colours = alt.Scale(domain=list(curves), range=[charts.OTHER, charts.CHOSEN])
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point=alt.OverlayMarkDef(size=12, aria=False))  # perhaps there are none to name
        .encode(
            x=alt.X("time:T", title=None, axis=alt.Axis(format="%H:%M:%S", tickCount=5)),
            y=alt.Y(f"{unit}:Q", scale=alt.Scale(zero=True), axis=alt.Axis(format=",.3~r")),
            color=alt.Color("which:N", scale=colours, legend=alt.Legend(orient="top", title=None)),
        )
        .properties(height=HEIGHT)
    )
    charts.draw(chart, " ".join(_said(name, values, unit) for name, values in curves.items()))


def _said(name: str, values: Sequence[float | None], unit: str) -> str:
    known = [each for each in values if each is not None]
    if not known:
        return f"{name}: nothing known."
    return f"{name}: {known[-1]:.3g} {unit} last, at most {max(known):.3g}."


def _tables(history: History) -> None:
    """Of all that the curves show: errors by status, and which version has decided."""
    minutes = sum(step.seconds for step in history.steps) / 60
    left, right = st.columns(2)
    with left:
        st.markdown("**Errors by status**")
        rows = [
            {"status": f"{status} {_phrase(status)}", "requests": f"{count:,.0f}"}
            for status, count in history.errors().items()
        ]
        _table(rows, "No request was answered with an error.", "Requests with errors, by status")
    with right:
        st.markdown("**Decided by**")
        rows = [
            {"version": plain(version), "requests": f"{count:,.0f}"}
            for version, count in history.by_version().items()
        ]
        _table(rows, "Nothing was decided.", "Requests that each version has decided")
    st.caption(f"In the {minutes:.1f} minutes that the curves show.")


def _table(rows: list[dict[str, str]], otherwise: str, said: str) -> None:
    if rows:
        st.table(pd.DataFrame(rows), hide_index=True, alt=said)
    else:
        st.caption(otherwise)


def _phrase(status: str) -> str:
    try:
        return HTTPStatus(int(status)).phrase
    except ValueError:
        return ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
