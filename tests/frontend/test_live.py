"""What is read from a server's metrics, and what is made of the differences."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from policy_server.errors import RequestFailed
from policy_server.frontend.live_history import History, increases, is_decision, quantile
from policy_server.frontend.metrics_reading import Labels, Metrics, parse, read_metrics
from policy_server.frontend.service import Service

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = r"""
# TYPE policy_server_requests_total counter
policy_server_requests_total{policy="default",operation="predict",status="200",version="1-\"a"} 7
policy_server_requests_total{policy="other",operation="predict",status="200",version="9-z"} 50
policy_server_request_duration_seconds_bucket{policy="default",operation="predict",le="0.1"} 6
policy_server_request_duration_seconds_bucket{policy="default",operation="predict",le="+Inf"} 7
policy_server_workers 2
policy_server_open_connections{worker="1"} 3
policy_server_open_connections{worker="2"} 4
policy_server_worker_memory_bytes{worker="1"} 1.5e+06
"""


def counted(requests: float, status: str = "200", operation: str = "predict") -> Metrics:
    buckets: dict[Labels, float] = {
        ("predict", "0.1"): requests / 2, ("predict", "+Inf"): requests,
    }  # fmt: skip
    return Metrics({(operation, status, "1-a"): requests}, buckets, 1, 2, 3, 0)


def test_the_text_of_prometheus_is_read_for_one_policy() -> None:
    read = parse(TEXT, "default")
    assert read.requests == {("predict", "200", '1-"a'): 7}
    assert read.buckets == {("predict", "0.1"): 6, ("predict", "+Inf"): 7}
    assert (read.workers, read.connections, read.memory, read.waiting) == (2, 7, 1.5e6, 0)
    assert list(parse(TEXT, "other").requests.values()) == [50]
    changed = [("_workers 2", "_workers two"), ("_workers 2", "_workers NaN"), ("0.1", "soon")]
    for other in ("", "<html>", *(TEXT.replace(*each) for each in changed)):
        with pytest.raises(RequestFailed):
            parse(other, "default")


def test_rates_survive_a_counter_that_begins_again_and_readings_that_fail() -> None:
    history = History()
    history.add(counted(100), 10.0, NOW)
    assert not history.steps
    history.add(counted(120), 12.0, NOW)
    assert history.steps[-1].rate(decisions=True) == 10
    assert history.steps[-1].rate(decisions=False) == 0
    history.miss("No server answers.", NOW)
    assert history.fault == "No server answers."
    assert history.steps[-1].rate(decisions=True) is None
    history.add(counted(8), 16.0, NOW)  # the machine was started again
    assert history.fault == ""
    assert history.steps[-1].rate(decisions=True) == 2
    assert history.by_version() == {"1-a": 28}
    assert history.errors() == {}
    history.add(counted(5, status="503"), 18.0, NOW)
    assert history.errors() == {"503": 5}
    history.add(counted(3, status="other"), 20.0, NOW)  # as many series are kept together
    assert history.errors() == {"503": 5}
    assert history.steps[-1].median == pytest.approx(0.1)


def test_increases_are_told_of_each_counter_by_itself() -> None:
    before: dict[Labels, float] = {("a",): 5.0, ("b",): 3.0, ("gone",): 9.0}
    after: dict[Labels, float] = {("a",): 6.0, ("b",): 2.0, ("new",): 4.0}
    assert increases(before, after) == {("a",): 1.0, ("b",): 2.0, ("new",): 4.0}
    assert increases(before, before) == {}


def test_latencies_lie_within_their_buckets() -> None:
    taken = {0.1: 50.0, 0.2: 90.0, 1.0: 99.0, float("inf"): 100.0}
    assert quantile(taken, 0.5) == pytest.approx(0.1)
    assert quantile(taken, 0.7) == pytest.approx(0.15)
    assert quantile(taken, 0.999) == 1.0  # longer than any bound
    assert quantile({}, 0.5) is None
    assert quantile({0.1: 0.0}, 0.5) is None


def test_a_latency_is_at_least_where_its_bucket_begins() -> None:
    def of(*counts: float) -> Metrics:
        bounds = ("0.25", "0.5", "+Inf")
        buckets: dict[Labels, float] = {
            ("predict", bound): n for bound, n in zip(bounds, counts, strict=True)
        }
        return Metrics({}, buckets, 1, 2, 3, 0)

    history = History()
    history.add(of(0, 0, 0), 10.0, NOW)
    history.add(of(0, 10, 10), 12.0, NOW)
    assert history.steps[-1].median == pytest.approx(0.375)
    assert history.steps[-1].slow == pytest.approx(0.4975)
    # The server was started again, and has decided more in one bucket than it had before.
    history.add(of(2, 6, 6), 14.0, NOW)
    history.add(of(1, 9, 9), 16.0, NOW)
    assert history.steps[-1].buckets == {0.25: 1, 0.5: 9, float("inf"): 9}


def test_operations_that_decide_are_told_from_others() -> None:
    assert [each for each in ("predict", "step_batch", "versions", "upload_model", "none", "infer")
            if is_decision(each)] == ["predict", "step_batch", "infer"]  # fmt: skip


def test_a_server_of_this_machine_shows_its_metrics(certain_service: Service) -> None:
    before = read_metrics(certain_service.client.url, "")
    certain_service.client.decide("predict", certain_service.example())
    after = read_metrics(certain_service.client.url, "")
    grown = increases(before.requests, after.requests)
    assert sum(n for labels, n in grown.items() if labels[:2] == ("predict", "200")) == 1
    assert after.workers == 1
    assert after.memory > 1_000_000
    with pytest.raises(RequestFailed, match="does not answer as a policy server does"):
        parse("", "default")


@pytest.fixture(params=[401, 404, 507, 302, 200])
def answering(request: pytest.FixtureRequest) -> Iterator[tuple[int, str]]:
    """Something that answers with a status, and a page that is no text of metrics."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"page")

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield request.param, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_who_is_not_shown_metrics_is_told_why(answering: tuple[int, str]) -> None:
    status, url = answering
    wanted = {
        401: "need the token of POLICY_SERVER_METRICS_TOKEN_FILE",
        404: "to programs of its own machine",
        507: "cannot write its metrics",
        302: "answers with status 302",
        200: "does not answer as a policy server does",
    }
    with pytest.raises(RequestFailed, match=wanted[status]):
        read_metrics(f"{url}/policies/other", "")


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    for url in ("http://127.0.0.1:9", "http://", "http://[", "nothing"):
        with pytest.raises(RequestFailed, match="No server answers"):
            read_metrics(url, "a token")
    with pytest.raises(RequestFailed, match="characters that no token has"):
        read_metrics("http://127.0.0.1:9", "a\ntoken")
