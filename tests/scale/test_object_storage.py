"""Three servers on one object storage, nginx before them: swaps through faults of the storage.

Run by `make scale`; `-s` prints how long the swaps took.
"""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support import object_storage
from tests.support.machines import Machines, Traffic, machines
from tests.support.object_storage import Fault, of_method, sometimes

SWAP_SECONDS = 2.0
"""After the answer to an upload, in which all servers decide with it."""
FAULTS: dict[str, Fault] = {
    "none": object_storage.sound,
    "slow": object_storage.slow(0.2),
    "cut": sometimes(3, object_storage.cut),
    "away now and then": sometimes(3, object_storage.away),
    "failing": sometimes(3, object_storage.failing),
    "answers lost": sometimes(3, object_storage.lost),
    "damaged": sometimes(3, of_method("GET", object_storage.damaged, "/versions/")),
}
ROUNDS = 3


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with machines(tmp_path_factory.mktemp("machines"), 3, workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def traffic(three: Machines) -> Iterator[None]:
    """Clients that get a decision to each request, whatever is done."""
    three.storage.fault = object_storage.sound
    with Traffic(three.url) as asking:
        yield
        three.storage.fault = object_storage.sound
    assert set(asking.statuses) == {200}
    print(f"{asking.statuses[200]} decisions")


@pytest.mark.parametrize("name", FAULTS)
def test_an_upload_to_one_is_served_by_all(three: Machines, name: str) -> None:
    three.storage.fault = FAULTS[name]
    taken = []
    for number in range(ROUNDS):
        seed = 10 * list(FAULTS).index(name) + number
        answer = three.upload(number % 3, 1 + number, seed)
        while answer.status_code == 503:
            answer = three.upload(number % 3, 1 + number, seed)
        assert answer.status_code == 200, answer.text
        taken.append(three.seconds_until(answer.json()["version"]))
    print(f"{name}: {', '.join(f'{each:.2f}' for each in taken)} seconds")
    assert max(taken) < SWAP_SECONDS


def test_writers_at_once(three: Machines) -> None:
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: three.upload(number, number, 100), range(3)))
    assert {answer.status_code for answer in answers} == {200}
    names = {answer.json()["version"] for answer in answers}
    assert len(names) == 3
    time.sleep(SWAP_SECONDS)
    (agreed,) = {three.version(number) for number in range(3)}
    assert agreed in names
    for server in three.servers:
        listed = server.get("versions").json()
        assert listed["active"] == agreed
        assert names <= {each["version"] for each in listed["versions"]}


def test_while_it_is_away_all_decide_and_uploads_lose_nothing(three: Machines) -> None:
    before = three.version(0)
    three.storage.fault = object_storage.away
    refused = three.upload(0, 5, 200)
    assert (refused.status_code, refused.json()["title"]) == (503, "Store unavailable")
    assert "s3://" in refused.json()["detail"]
    master = three.servers[1].process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
        time.sleep(3.0)  # another one decides
    time.sleep(4.0)
    assert {three.version(number) for number in range(3)} == {before}
    three.storage.fault = object_storage.sound
    answer = three.upload(0, 5, 200)
    assert answer.status_code == 200, answer.text
    assert three.seconds_until(answer.json()["version"]) < SWAP_SECONDS
    for server in (three.servers[0], three.servers[2]):
        log = server.log.read_text()
        assert log.count("is not followed") == log.count("is followed again") == 1, log
