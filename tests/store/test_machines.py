"""Two servers on one object storage: an upload, an outage, and a machine that starts meanwhile.

`make scale` has three of them, nginx before them, and more faults.
"""

import time
from pathlib import Path

import requests

from tests.support import object_storage
from tests.support.machines import PATIENCE_SECONDS, Machines, Traffic, machines, model
from tests.support.named_policies import SCHEMA, ask, url_of
from tests.support.object_storage import BUCKET
from tests.support.server import PASSWORD, USER, Server, gunicorn

SWAP_SECONDS = 2.0
LEAST_DECISIONS = 10
WHO = (USER, PASSWORD)


def test_what_one_machine_is_given_all_decide_with(tmp_path: Path) -> None:
    with machines(tmp_path, 2) as two, Traffic(two.url) as traffic:
        first = two.version(1)
        answer = two.upload(0, 3, 1)
        assert answer.status_code == 200, answer.text
        assert two.seconds_until(answer.json()["version"]) < SWAP_SECONDS
        two.storage.fault = object_storage.away
        refused = two.servers[1].post(f"versions/{first}/activate", None)
        assert (refused.status_code, refused.json()["title"]) == (503, "Store unavailable")
        assert f"s3://{BUCKET}/of/tests" in refused.json()["detail"]
        assert two.version(0) == two.version(1) == answer.json()["version"]
        restarts_with_what_it_has(tmp_path / "machine-1", two)
        two.storage.fault = object_storage.sound
        back = two.servers[1].post(f"versions/{first}/activate", None)
        assert back.status_code == 200, back.text
        assert two.seconds_until(first) < SWAP_SECONDS
        a_named_policy_comes_and_goes(two)
    assert set(traffic.statuses) == {200}
    assert traffic.statuses[200] > LEAST_DECISIONS


def a_named_policy_comes_and_goes(two: Machines) -> None:
    """What is made and uploaded on one machine, the other serves; removed there, it is gone."""
    one, other = two.servers
    schema = {"schema_file": ("schema.yaml", SCHEMA)}
    made = requests.put(f"{one.url}/policies/arm", files=schema, auth=WHO, timeout=60)
    assert made.ok, made.text
    sent = {"model_file": ("model.onnx", model(4, 7))}
    answer = requests.post(f"{url_of(one, 'arm')}/model", files=sent, auth=WHO, timeout=60)
    assert answer.status_code == 200, answer.text
    await_status(other, 200)
    assert ask(other, "arm").headers["X-Policy-Version"] == answer.json()["version"]
    removed = requests.delete(f"{other.url}/policies/arm", auth=WHO, timeout=60)
    assert removed.ok, removed.text
    await_status(one, 404)


def await_status(server: Server, wanted: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (answer := ask(server, "arm")).status_code != wanted:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def restarts_with_what_it_has(base_path: Path, two: Machines) -> None:
    """Another server of a machine starts while the storage is away."""
    given = {
        **two.storage.environment,
        "POLICY_SERVER_STORE": f"s3://{BUCKET}/of/tests",
        "POLICY_SERVER_STORE_SECONDS": "1",
    }
    with gunicorn(base_path, 1, **given) as again:
        answer = again.post("predict", {"x": [1, 2, 3]})
        assert answer.headers["X-Policy-Version"] == two.version(0)
        assert "This server begins with version" in again.log.read_text()
