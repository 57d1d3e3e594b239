"""A real Prometheus scrapes four workers while they are killed, reloaded, and do what they do.

Everything here is asked of one run: starting it is what takes time.
"""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from policy_server.metrics import catalogue
from tests.support.networks import linear_onnx
from tests.support.prometheus import JOB, Prometheus, prometheus
from tests.support.server import PASSWORD, ROOT, USER, Server, gunicorn

WORKERS, CLIENTS, KILLS = 4, 2, 2
PAUSE_SECONDS = 0.01
LAST_SECONDS = 1.0
"""What a worker answers last before it is killed may not be counted; far longer than it says."""
WINDOW = "10m"
DASHBOARD = ROOT / "deploy/grafana/policy-server.json"
AUTH = (USER, PASSWORD)


@dataclass
class Counts:
    """What clients have counted.

    Attributes:
        answers: When each came, by operation and status.
        unanswered: By operation: the connection ended, and nobody knows what came of it.
    """

    answers: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    unanswered: Counter[str] = field(default_factory=Counter)

    def add(self, others: "Counts") -> None:
        """Count what others have counted."""
        for key, came in others.answers.items():
            self.answers[key] += came
        self.unanswered += others.unanswered


@dataclass
class Run:
    """What is left of the run: both are up, and nobody asks any more.

    Attributes:
        kills: When workers were killed.
        series: Every series of the server, with all its samples. They are of one query: between two
            there might be another scrape, which counts itself.
    """

    server: Server
    prometheus: Prometheus
    counts: Counts
    kills: list[float]
    series: list[dict[str, Any]]


class Client(threading.Thread):
    """Asks for decisions until it is told to stop."""

    def __init__(self, server: Server, stop: threading.Event) -> None:
        super().__init__()
        self.counts = Counts()
        self._server, self._stop_asking = server, stop

    def run(self) -> None:
        one = {"warmth": 20}
        bodies: dict[str, Any] = {
            "predict": one,
            "predict_batch": {"observations": [one] * 3},
            "step": {"observation": one},
            "distribution": {"coldness": 1},
        }
        session = requests.Session()
        session.auth = AUTH
        while not self._stop_asking.is_set():
            for operation, body in bodies.items():
                try:
                    url = f"{self._server.url}/{operation}"
                    answer = session.post(url, json=body, timeout=60)
                    self.counts.answers[operation, answer.status_code].append(time.monotonic())
                except requests.ConnectionError:
                    self.counts.unanswered[operation] += 1
                    session.close()
            time.sleep(PAUSE_SECONDS)


def workers_of(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return [int(each) for each in children.read_text().split()]


def await_workers(server: Server, found: Prometheus, gone: Collection[int] = ()) -> None:
    """Wait until so many workers are up as should be, and have a policy, and others are gone."""
    deadline = time.monotonic() + 60
    while True:
        deciding = found.query("sum(policy_server_active_version)")
        workers = workers_of(server)
        alive = len(workers) == WORKERS and not {*workers} & {*gone}
        if alive and deciding and float(deciding[0]["value"][1]) == WORKERS:
            return
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.2)


def trouble(server: Server, found: Prometheus) -> list[float]:
    """Kill workers, and reload; returns when each was killed."""
    kills = []
    for _ in range(KILLS):
        killed = workers_of(server)[0]
        os.kill(killed, signal.SIGKILL)
        kills.append(time.monotonic())
        await_workers(server, found, [killed])
    before = workers_of(server)
    server.process.send_signal(signal.SIGHUP)
    await_workers(server, found, before)
    return kills


def change(server: Server) -> None:
    """Upload a policy, and one that can never serve; and ask for what takes too long."""
    assert server.upload("model", "model_file", linear_onnx(1, 3)).status_code == 200
    assert server.upload("model", "model_file", b"not a model").status_code == 422


@pytest.fixture(scope="module")
def run(published_warm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("scraped")
    base_path = Path(shutil.copytree(published_warm, folder / "instance"))
    stop = threading.Event()
    with (
        gunicorn(base_path, WORKERS) as server,
        prometheus(server.port, folder) as found,
    ):
        found.await_scrapes()
        clients = [Client(server, stop) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            await_workers(server, found)
            kills = trouble(server, found)
            change(server)
        finally:
            stop.set()
            for client in clients:
                client.join()
        counts = Counts()
        for client in clients:
            counts.add(client.counts)
        found.await_scrapes(3)
        series = found.query(f'{{__name__=~"policy_server_.*", job="{JOB}"}}[{WINDOW}]')
        yield Run(server, found, counts, kills, series)


def series_of(run: Run, pattern: str) -> dict[tuple[tuple[str, str], ...], list[float]]:
    """All samples of the run, by the labels of their series."""
    return {
        tuple(sorted(each["metric"].items())): [float(value) for _, value in each["values"]]
        for each in run.series
        if re.fullmatch(pattern, each["metric"]["__name__"])
    }


def test_no_counter_ever_goes_back(run: Run) -> None:
    series = series_of(run, "policy_server_.*(_total|_bucket|_count|_sum)")
    counters = {metric.name for metric in catalogue.METRICS if metric.type == "counter"}
    shown = {dict(labels)["__name__"].removesuffix("_total") for labels in series}
    assert counters <= shown
    assert max(len(samples) for samples in series.values()) > 20
    for labels, samples in series.items():
        assert samples == sorted(samples), labels


def test_the_sums_are_what_clients_counted(run: Run) -> None:
    """Of a connection that ended with its worker, nobody knows whether it was counted.

    Nor what that worker answered last.
    """
    found: Counter[tuple[str, int]] = Counter()
    for labels, samples in series_of(run, "policy_server_requests_total").items():
        named = dict(labels)
        found[named["operation"], int(named["status"])] += int(samples[-1])
    assert len(run.counts.answers["predict", 200]) > 50
    assert len(run.counts.answers["distribution", 400]) > 50
    for (operation, status), came in run.counts.answers.items():
        last = [kill for kill in run.kills for at in came if 0 <= kill - at < LAST_SECONDS]
        more = found[operation, status] - len(came)
        assert -len(last) <= more <= run.counts.unanswered[operation], (operation, status)


def test_every_request_is_in_the_histograms_once(run: Run) -> None:
    def last(pattern: str, label: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for labels, samples in series_of(run, pattern).items():
            found[dict(labels)[label]] += int(samples[-1])
        return found

    durations = last("policy_server_request_duration_seconds_count", "operation")
    assert durations == last("policy_server_requests_total", "operation")
    stages = last("policy_server_stage_duration_seconds_count", "stage")
    asked = {operation for operation, _ in run.counts.answers}
    decided = sum(
        samples[-1]
        for labels, samples in series_of(run, "policy_server_requests_total").items()
        if (named := dict(labels))["status"] == "200" and named["operation"] in asked
    )
    assert decided > 150
    assert set(stages) == set(catalogue.STAGES)
    assert all(number >= decided for number in stages.values())


def test_workers_that_were_killed_have_died_and_those_of_a_reload_have_not(run: Run) -> None:
    (deaths,) = series_of(run, "policy_server_worker_deaths_total").values()
    (starts,) = series_of(run, "policy_server_worker_starts_total").values()
    (workers,) = series_of(run, "policy_server_workers").values()
    assert deaths[-1] == KILLS
    assert starts[-1] == WORKERS + KILLS + WORKERS
    assert workers[-1] == WORKERS
    memory = run.prometheus.query("policy_server_worker_memory_bytes")
    assert {each["metric"]["worker"] for each in memory} == {*map(str, workers_of(run.server))}


def test_a_new_version_is_swapped_to_and_builds_are_counted(run: Run) -> None:
    (active,) = run.prometheus.query("policy_server_active_version")
    name = run.server.get("health/ready").json()["version"]
    assert (active["metric"]["version"], active["value"][1]) == (name, str(WORKERS))
    builds = {
        each["metric"]["outcome"]: int(each["value"][1])
        for each in run.prometheus.query("policy_server_builds_total")
    }
    assert builds == {"ready": 1, "rejected": 1, "failed": 0, "incomplete": 0}
    (swaps,) = series_of(run, "policy_server_swaps_total").values()
    assert swaps[-1] == WORKERS + KILLS + WORKERS + WORKERS


def expressions(node: Any) -> Iterator[str]:
    """Every expression of a dashboard, for a server and a policy that somebody chose."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query") and isinstance(value, str) and "policy_server" in value:
                text = re.sub(r"label_values\(([^,]*),.*\)", r"\1", value)
                text = text.replace("$__rate_interval", WINDOW)
                yield text.replace("$instance", ".*").replace("$policy", "default")
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for each in node:
            yield from expressions(each)


def test_every_expression_of_the_dashboard_finds_something(run: Run) -> None:
    found = list(expressions(json.loads(DASHBOARD.read_text(encoding="utf-8"))))
    assert len(found) > 25
    assert all("$" not in expression for expression in found)
    nothing = [expression for expression in found if not run.prometheus.query(expression)]
    assert nothing == []
    asked = {name for text in found for name in re.findall(r"policy_server_\w+", text)}
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in asked}
    assert shown == {metric.name for metric in catalogue.METRICS}


def test_prometheus_knows_what_each_metric_is(run: Run) -> None:
    """It asked for OpenMetrics, and reads that strictly."""
    (target,) = run.prometheus.ask("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    known = run.prometheus.ask("metadata")
    for metric in catalogue.METRICS:
        (said,) = known[metric.name]
        assert said == {"type": metric.type, "help": metric.help, "unit": metric.unit}
