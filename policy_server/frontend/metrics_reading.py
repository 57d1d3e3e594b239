"""Reads the metrics of a server: the text of Prometheus, less what the page does not show."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import requests
import urllib3

from policy_server.errors import RequestFailed
from policy_server.frontend.deadline import session

SECONDS, MAX_BYTES, CHUNK_BYTES = 5.0, 16_000_000, 65_536
DEFAULT, OTHERS = "default", "others"
"""How the metrics call the policy of `/api`, and in histograms all others together."""
OF_ONE_POLICY = re.compile(r"(?P<root>.*)/policies/(?P<name>[^/]+)")
SAMPLE = re.compile(r"(?P<name>policy_server_\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
ESCAPED = re.compile(r"\\(.)")
REQUESTS = "policy_server_requests_total"
BUCKETS = "policy_server_request_duration_seconds_bucket"
WORKERS = "policy_server_workers"
CONNECTIONS = "policy_server_open_connections"
MEMORY = "policy_server_worker_memory_bytes"
WAITING = "policy_server_waiting_decisions"
NOT_LET_IN = (
    "This server does not show its metrics to this page: it shows them to programs of its own "
    "machine that connect to a loopback address, and to who sends the token of "
    "POLICY_SERVER_METRICS_TOKEN_FILE; with POLICY_SERVER_METRICS=false it has none."
)
SENTENCES: Mapping[int, str] = {
    HTTPStatus.NOT_FOUND: NOT_LET_IN,
    HTTPStatus.UNAUTHORIZED: "The metrics need the token of POLICY_SERVER_METRICS_TOKEN_FILE, and "
    "the one that was given is not it, if one was: type it under Token of the metrics.",
    HTTPStatus.INSUFFICIENT_STORAGE: "The server cannot write its metrics; its log says why.",
}
Labels = tuple[str, ...]
"""The values of some labels, in an order that the one who reads them knows."""


@dataclass(frozen=True)
class Metrics:
    """What a server had counted and measured of one policy, at one moment.

    Attributes:
        requests: How many were answered, by operation, status and version.
        buckets: How many took at most so long, by operation and bound in seconds.
        workers: How many serve.
        connections: Of clients, in all workers.
        memory: In bytes, of all workers.
        waiting: Decisions that wait for their turn.
    """

    requests: Mapping[Labels, float]
    buckets: Mapping[Labels, float]
    workers: float
    connections: float
    memory: float
    waiting: float


def read_metrics(url: str, token: str) -> Metrics:
    """Ask a server for its metrics.

    Credentials of the API are not sent: the metrics do not take them.

    Args:
        url: The server's; or that of one of several policies, below `/policies/`.
        token: Of the metrics; empty where there is none.

    Raises:
        RequestFailed: The server does not answer, does not let this page in, or has no metrics.
    """
    of_one = OF_ONE_POLICY.fullmatch(url)
    root, policy = of_one.group("root", "name") if of_one else (url, DEFAULT)
    return parse(_text(root, token), policy)


def parse(text: str, policy: str) -> Metrics:
    """What the text says of one policy; raises RequestFailed where it is of something else."""
    found: dict[str, dict[Labels, float]] = defaultdict(dict)
    in_histograms = policy if policy == DEFAULT else OTHERS
    wanted = {
        REQUESTS: (policy, ("operation", "status", "version")),
        BUCKETS: (in_histograms, ("operation", "le")),
        WAITING: (policy, ()),
        WORKERS: (None, ()),
        CONNECTIONS: (None, ("worker",)),
        MEMORY: (None, ("worker",)),
    }
    for line in text.splitlines():
        sample = SAMPLE.match(line)
        if sample is None or sample["name"] not in wanted:
            continue
        of, names = wanted[sample["name"]]
        labels = {name: ESCAPED.sub(r"\1", told) for name, told in LABEL.findall(sample[2] or "")}
        if labels.get("policy") == of:
            known = tuple(labels.get(name, "") for name in names)
            found[sample["name"]][known] = _number(sample["value"])
            if "le" in names and labels.get("le") != "+Inf":
                _number(labels.get("le", ""))
    if not found[WORKERS]:
        raise RequestFailed("What answers at /metrics does not answer as a policy server does.")
    sums = {name: sum(values.values()) for name, values in found.items()}
    gauges = (sums.get(name, 0.0) for name in (WORKERS, CONNECTIONS, MEMORY, WAITING))
    return Metrics(found[REQUESTS], found[BUCKETS], *gauges)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestFailed(f"The metrics have `{text}` where a number should be.")
    return number


def _text(root: str, token: str) -> str:
    """What is at `/metrics`, however slowly it comes, within SECONDS."""
    headers = {"Accept": "text/plain", "Accept-Encoding": "identity"}
    if token:
        if not (token.isascii() and token.isprintable()):
            raise RequestFailed("The token of the metrics has characters that no token has.")
        headers["Authorization"] = f"Bearer {token}"
    content = bytearray()
    try:
        with session() as asking:
            address = f"{root}/metrics"
            answer = asking.get(
                address, headers=headers, timeout=SECONDS, stream=True, allow_redirects=False
            )
            if answer.status_code != HTTPStatus.OK:
                raise _refused(answer.status_code)
            while chunk := answer.raw.read1(CHUNK_BYTES):
                content += chunk
                if len(content) > MAX_BYTES:
                    raise RequestFailed(f"The metrics have more than {MAX_BYTES:,} bytes.")
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise RequestFailed(f"{root} did not send its metrics in time.") from error
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:  # also those of requests
        raise RequestFailed(f"No server answers at {root}.") from error
    return content.decode("utf-8", "replace")


def _refused(status: int) -> RequestFailed:
    said = SENTENCES.get(status, f"The server answers with status {status} at /metrics.")
    return RequestFailed(said, status=status)
