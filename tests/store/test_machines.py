"""Two servers on one object storage: an upload, an outage, and a machine that starts meanwhile.

`make scale` has three of them, nginx before them, and more faults.
"""

from pathlib import Path

from tests.support import object_storage
from tests.support.machines import Machines, Traffic, machines
from tests.support.object_storage import BUCKET
from tests.support.server import gunicorn

SWAP_SECONDS = 2.0
LEAST_DECISIONS = 10


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
    assert set(traffic.statuses) == {200}
    assert traffic.statuses[200] > LEAST_DECISIONS


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
