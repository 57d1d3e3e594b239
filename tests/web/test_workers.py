"""Several workers: an upload to one is served by all."""

import time
from collections import Counter
from pathlib import Path

import requests

from policy_server.contract.reading import read_schema
from tests.support.server import PASSWORD, ROOT, USER, Server, gunicorn

WORKERS = 4
REQUESTS = 60
LPOC = ROOT / "examples" / "lpoc"
EXAMPLE = read_schema((LPOC / "schema.yaml").read_text()).example()


def versions(server: Server) -> Counter[str]:
    """How many of some answers each version gave; every request is a new connection."""
    found: Counter[str] = Counter()
    for _ in range(REQUESTS):
        answer = requests.post(
            f"{server.url}/predict", json=EXAMPLE, auth=(USER, PASSWORD), timeout=30
        )
        assert answer.status_code == 200, answer.text
        found[answer.headers["X-Policy-Version"]] += 1
    return found


def test_an_upload_to_one_worker_is_served_by_all_within_a_second(lpoc_instance: Path) -> None:
    mapper = b"0: north\n1: east\n2: south\n3: west\n4: stay\n"
    with gunicorn(lpoc_instance, WORKERS) as server:
        (old,) = versions(server)
        report = server.upload("outputmapper", "output_mapper_file", mapper).json()
        assert report.get("state") == "active", report
        time.sleep(1)
        assert set(versions(server)) == {report["version"]} != {old}
        log = server.log.read_text()
        assert log.count(f"version {report['version']} decides") == WORKERS
        meaning = server.post("predict", EXAMPLE).json()["meaning"]
        assert meaning in {"north", "east", "south", "west", "stay"}


def test_all_workers_share_a_generated_password(lpoc_instance: Path) -> None:
    with gunicorn(lpoc_instance, WORKERS, POLICY_SERVER_PASSWORD="") as server:
        credentials = lpoc_instance / "credentials"
        assert credentials.stat().st_mode & 0o777 == 0o600
        user, _, password = credentials.read_text().strip().partition(":")
        assert len(password) >= 20
        for _ in range(20):
            answer = requests.post(
                f"{server.url}/predict", json=EXAMPLE, auth=(user, password), timeout=30
            )
            assert answer.status_code == 200
        log = server.log.read_text()
        assert str(credentials) in log
        assert password not in log
