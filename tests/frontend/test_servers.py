"""Servers of visitors: whose they are, what ends them, and what a start that is refused costs."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from policy_server.errors import SchemaError, ServerNotStarted
from policy_server.frontend.own_server import OwnServer, Workshop
from policy_server.frontend.servers import Servers
from tests.support.server import ROOT, free_port

SCHEMA = "observations:\n  speed: {type: float, minimum: 0, maximum: 9}\n"
ANNA, BERT = "a" * 43, "b" * 43
KEPT_SECONDS = 2.0
WAIT_SECONDS = 60.0


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(root=ROOT, base_path=tmp_path / "frontend", port=8080, user="tester")


@pytest.fixture
def servers() -> Iterator[Servers]:
    yield from ended(Servers(most=2))


def ended(servers: Servers) -> Iterator[Servers]:
    yield servers
    for visitor in (ANNA, BERT):
        servers.stop(visitor)


def status(server: OwnServer, password: str | None = None) -> int:
    """What a server answers to a password, its own unless another is given."""
    who = server.client.credentials
    url = f"{server.client.api}/schema"
    auth = (who.user, who.password if password is None else password)
    return requests.get(url, auth=auth, timeout=WAIT_SECONDS).status_code


def test_a_start_that_is_refused_costs_nothing(workshop: Workshop, servers: Servers) -> None:
    server = servers.start(ANNA, workshop, SCHEMA, "first", free_port())
    other = servers.start(BERT, workshop, SCHEMA, "other", free_port())
    # It has hardly begun, and yet nobody else can answer at its port.
    with pytest.raises(ServerNotStarted, match="is taken"):
        servers.start(ANNA, workshop, SCHEMA, "second", other.port)
    with pytest.raises(SchemaError):
        servers.start(ANNA, workshop, "observations: {speed: {type: flaot}}", "", free_port())
    assert servers.of(ANNA) is server
    with pytest.raises(ServerNotStarted, match="2 servers that were started here run already"):
        servers.start("c" * 43, workshop, SCHEMA, "third", free_port())
    assert status(server) == status(other) == 200
    # The visitor's own does not count against them, and its port is theirs.
    again = servers.start(ANNA, workshop, SCHEMA, "first", server.port)
    assert status(again) == 200
    assert status(again, server.client.credentials.password) == 401


def test_of_two_who_start_on_a_port_at_once_one_is_refused_and_the_other_stops_in_order(
    workshop: Workshop, servers: Servers
) -> None:
    port = free_port()
    outcomes: dict[str, object] = {}
    both = threading.Barrier(2)

    def start(visitor: str) -> None:
        both.wait()
        try:
            outcomes[visitor] = servers.start(visitor, workshop, SCHEMA, "API", port)
        except ServerNotStarted as error:
            outcomes[visitor] = error

    threads = [threading.Thread(target=start, args=[visitor]) for visitor in (ANNA, BERT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [each for each in outcomes.values() if isinstance(each, ServerNotStarted)]
    ((owner, server),) = (
        (who, each) for who, each in outcomes.items() if isinstance(each, OwnServer)
    )
    assert f"Port {port} is taken" in str(refused[0])
    assert status(server) == 200
    # A stopping server is its visitor's until it has ended.
    stopping = threading.Thread(target=servers.stop, args=[owner])
    stopping.start()
    while servers.of(owner) is not None:
        time.sleep(0.01)
    assert server.exit_code is not None
    stopping.join()


def test_what_was_uploaded_is_found_by_its_visitor_alone(
    workshop: Workshop, servers: Servers
) -> None:
    first = servers.start(ANNA, workshop, SCHEMA, "API", free_port())
    servers.stop(ANNA)
    other = servers.start(BERT, workshop, SCHEMA, "API", free_port())
    again = servers.start(ANNA, workshop, SCHEMA, "API", free_port())
    assert again.log.parent == first.log.parent != other.log.parent
    assert ANNA not in str(first.log)


def test_a_server_ends_some_time_after_the_last_page_of_its_visitor(workshop: Workshop) -> None:
    for servers in ended(Servers(kept_seconds=KEPT_SECONDS)):
        servers.came(ANNA)
        servers.came(ANNA)
        server = servers.start(ANNA, workshop, SCHEMA, "API", free_port())
        servers.left(ANNA)  # one of two pages
        time.sleep(2 * KEPT_SECONDS)
        assert status(server) == 200
        servers.left(ANNA)  # a page that is loaded anew
        servers.came(ANNA)
        time.sleep(2 * KEPT_SECONDS)
        assert status(server) == 200
        servers.left(ANNA)
        deadline = time.monotonic() + WAIT_SECONDS
        while servers.of(ANNA) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert servers.of(ANNA) is None
        assert server.exit_code is not None


def test_a_server_whose_visitor_left_while_it_started_ends_too(workshop: Workshop) -> None:
    for servers in ended(Servers(kept_seconds=KEPT_SECONDS)):
        server = servers.start(ANNA, workshop, SCHEMA, "API", free_port())
        deadline = time.monotonic() + WAIT_SECONDS
        while servers.of(ANNA) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.exit_code is not None
