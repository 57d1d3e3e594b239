"""`/metrics`: what all workers have counted, for Prometheus; for nobody that is not let in."""

import asyncio
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from policy_server.access.authenticator import Authenticator
from policy_server.errors import NotAuthenticated
from policy_server.metrics import exposition
from policy_server.metrics.totals import Totals
from policy_server.web.gathering import GATHER_SECONDS
from policy_server.web.security import address_of, read_credentials
from policy_server.web.surroundings import PEER

PATH = "/metrics"
METHODS = ("GET", "HEAD")
FORWARDED = re.compile(rb"forwarded|via|x-forwarded-.*|x-real-ip|x-client-.*|cf-.*|true-client-ip")
"""Headers of proxies: what they pass on may come from anywhere."""
OWN_HOST = re.compile(rb"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
"""A page of a browser on this machine may have had its name lead here; it sends that name."""
WANTED = (
    "The metrics are for programs on the server's own machine, and for who sends the token of "
    "POLICY_SERVER_METRICS_TOKEN as a bearer token."
)


@dataclass(frozen=True)
class Metrics:
    """What may be asked of the metrics, and by whom.

    Attributes:
        totals: Sums what all workers have counted; takes milliseconds.
        readers: Know the token; None where none is set.
    """

    totals: Callable[[], Totals]
    readers: Authenticator | None


class MetricsPage:
    """Answers at PATH, and hands on all else.

    Where a token is set, it lets in, and nothing else but programs of this machine. Others are not
    told that there is anything.

    Args:
        app: What answers all other requests.
        metrics: What is answered.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        await self._let_in(scope, headers)
        if scope["method"] not in METHODS:
            raise HTTPException(405, headers={"Allow": ", ".join(METHODS)})
        form = exposition.media_type(headers.get(b"accept", b"").decode("latin-1"))
        await asyncio.sleep(2 * GATHER_SECONDS)  # all that was answered before, workers have told
        totals = await asyncio.to_thread(self._metrics.totals)
        answer = Response(exposition.render(totals, form), media_type=form)
        await answer(scope, receive, send)

    async def _let_in(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Raise what is answered to those who are not let in."""
        readers, credentials = self._metrics.readers, read_credentials(dict(headers))
        if readers is not None and credentials is not None:
            if await readers.identify(credentials, address_of(scope)) is not None:
                return
            raise NotAuthenticated(WANTED)
        if not _is_of_this_machine(scope, headers):
            raise HTTPException(404) if readers is None else NotAuthenticated(WANTED)


def _is_of_this_machine(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """A program of this machine asks, and passes on nobody's request."""
    peer = scope.get("extensions", {}).get(PEER) or scope.get("client")
    try:
        is_near = peer is not None and ipaddress.ip_address(peer[0]).is_loopback
    except ValueError:
        return False
    passed_on = any(FORWARDED.fullmatch(name) for name in headers)
    return is_near and not passed_on and OWN_HOST.fullmatch(headers.get(b"host", b"")) is not None
