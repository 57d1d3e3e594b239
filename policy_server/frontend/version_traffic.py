"""How the requests are shared among versions, as the metrics of the server count them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from policy_server.errors import RequestFailed
from policy_server.frontend import live
from policy_server.frontend.answers import percent
from policy_server.frontend.metrics_reading import Labels, read_metrics
from policy_server.frontend.service import Service

TRAFFIC = "versions:traffic"


@dataclass(frozen=True)
class Traffic:
    """What the metrics told at one moment.

    Attributes:
        state: Which versions were there, and the token that was taken: what it was read for.
        shares: Of the requests that some version has decided, by version; empty where there is
            none, or the metrics cannot be read.
        at: When.
        fault: Why they cannot be read; empty where they can.
    """

    state: object
    shares: Mapping[str, float]
    at: datetime
    fault: str = ""

    @property
    def words(self) -> str:
        """What the column of shares is, or why there is none."""
        if self.fault:
            return f"Which share of the requests each has decided is not shown. {self.fault}"
        if not self.shares:
            return ""
        return (
            "Share of requests: of those that were decided, as the metrics count them, as of "
            f"{self.at:%Y-%m-%d %H:%M:%S} UTC."
        )

    def of(self, version: str) -> str:
        """The share of a version, in words."""
        return percent(self.shares.get(version, 0.0))


def read(service: Service, state: object) -> Traffic:
    """The traffic, read once for a state; a server that does not show it is not asked again.

    Args:
        service: Of somebody who may manage.
        state: Of the versions.
    """
    token = live.token_of(service)
    kept: Traffic | None = st.session_state.get(TRAFFIC)
    if kept is None or kept.state != (state, token):
        at = datetime.now(UTC)
        try:
            shares = shares_of(read_metrics(service.client.url, token).requests)
            kept = Traffic((state, token), shares, at)
        except RequestFailed as error:
            kept = Traffic((state, token), {}, at, str(error))
        st.session_state[TRAFFIC] = kept
    return kept


def forget() -> None:
    """Read it anew when it is shown next."""
    st.session_state.pop(TRAFFIC, None)


def shares_of(requests: Mapping[Labels, float]) -> dict[str, float]:
    """How the requests that some version has decided are shared among these.

    Args:
        requests: By operation, status and version, as the metrics count them.
    """
    counted: dict[str, float] = {}
    for (_, _, version), count in requests.items():
        if version:
            counted[version] = counted.get(version, 0.0) + count
    total = sum(counted.values())
    return {version: count / total for version, count in counted.items()} if total else {}
