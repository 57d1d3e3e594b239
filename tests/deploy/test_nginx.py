"""deploy/nginx is what nginx takes, and the server behind it is reached as it says."""

import http.client
import http.server
import re
import runpy
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from policy_server.app.settings import Settings
from policy_server.contract.operations import (
    ANSWER_SECONDS,
    ARCHIVE,
    BUILD_SECONDS,
    OPERATIONS,
    ZIP,
    Body,
    Operation,
)
from policy_server.contract.policy_names import ROOT as ROOT_OF_POLICIES
from policy_server.proving.build import START_SECONDS
from tests.deploy.conftest import Container
from tests.deploy.dockerfile import ROOT
from tests.deploy.processes import answers, running, wait_until
from tests.support.contracts import contract_of, kept_contracts
from tests.support.nginx import GIVEN, HOST, Site, shipped_site

BUILD = ROOT / "policy_server/proving"
BELOW = GIVEN[GIVEN.index("    # location ^~ /policy/ {") : GIVEN.index("    location / {")]
PARAMETERS = re.compile(r"{(\w+)}")
LATE_SECONDS = 3.0
LONG_LOCATION = GIVEN.partition("    location ~ ")[2]


@pytest.fixture(scope="module")
def proxy(container: Container, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shipped file in front of the server."""
    folder = tmp_path_factory.mktemp("nginx")
    site = shipped_site(folder, container.port, {})
    with running(site.command, folder, {}, answers(f"http://127.0.0.1:{site.plain_port}")):
        yield site


def get(proxy: Site, path: str, request_id: str) -> requests.Response:
    headers = {"X-Request-Id": request_id} if request_id else {}
    verify = str(proxy.authority)
    return requests.get(proxy.url + path, headers=headers, verify=verify, timeout=30)


def wait_for_log(proxy: Site, name: str) -> None:
    """nginx writes its log after the answer."""
    wait_until(lambda: name in proxy.access_log.read_text(encoding="utf-8"))


def test_requests_keep_the_id_that_their_caller_gave(proxy: Site) -> None:
    answer = get(proxy, "/api/health/ready", "order-66/a")
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] == "order-66/a"
    wait_for_log(proxy, "order-66/a")


def test_requests_without_an_id_get_one_that_the_answer_and_nginxs_log_have(proxy: Site) -> None:
    wait_for_log(proxy, get(proxy, "/api/health/live", "").headers["X-Request-Id"])


def test_pages_of_the_server_are_answered_and_those_of_other_sites_are_not(
    proxy: Site, container: Container
) -> None:
    """As Swagger UI asks, from a browser that says where a page is from: the port included."""
    for origin, refused in (
        (proxy.url, False),
        (f"https://{HOST}:{proxy.port}", True),
        ("https://127.0.0.1", True),
    ):
        answer = requests.post(
            f"{proxy.url}/api/predict",
            json={},
            headers={"Origin": origin},
            auth=container.credentials,
            verify=str(proxy.authority),
            timeout=30,
        )
        assert (answer.status_code == 403) is refused, (origin, answer.text)


@pytest.mark.parametrize("path", ["/metrics", "/metrics?all", "/%6detrics", "/nothing"])
def test_metrics_are_not_shown_outside(proxy: Site, container: Container, path: str) -> None:
    assert requests.get(f"{container.url}/metrics", timeout=30).status_code == 200
    answer = get(proxy, path, "")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["title"] == "Not Found"


def test_plain_http_is_sent_to_https(proxy: Site) -> None:
    url = f"http://127.0.0.1:{proxy.plain_port}/api/schema"
    answer = requests.get(url, allow_redirects=False, headers={"Host": HOST}, timeout=30)
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{HOST}/api/schema")


def test_an_upload_passes_whole(proxy: Site, container: Container) -> None:
    answer = requests.post(
        f"{proxy.url}/api/model",
        files={"model_file": b"no model " * 700_000},
        auth=container.credentials,
        verify=str(proxy.authority),
        timeout=120,
    )
    assert answer.status_code == 422
    assert "not a sound ONNX file" in answer.json()["detail"]


def test_a_body_above_the_upload_limit_ends_at_nginx(proxy: Site) -> None:
    limit = Settings().upload_megabytes * 1_000_000
    assert announced(proxy, "/api/model", limit + 1) == 413
    assert announced(proxy, "/api/model", limit) == 100


def announced(proxy: Site, path: str, size: int) -> int:
    """What is said of a body that is announced and never sent."""
    context = ssl.create_default_context(cafile=str(proxy.authority))
    connection = http.client.HTTPSConnection("127.0.0.1", proxy.port, context=context, timeout=60)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(size))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    line = connection.sock.recv(100).decode()
    connection.close()
    return int(line.split()[1])


def test_nginx_waits_longer_for_an_upload_than_its_build_may_take() -> None:
    settings = Settings()
    assembly = (BUILD / "assembly.py").read_text(encoding="utf-8")
    # Of these one stands for those of the reader of SavedModels.
    steps = assembly.count("self._limits.model_seconds") - 1
    steps += (BUILD / "readers/saved_model.py").read_text(encoding="utf-8").count('progress("')
    trials = (BUILD / "trial.py").read_text(encoding="utf-8").count('self._begin("')
    build = START_SECONDS + steps * settings.model_seconds + trials * settings.preprocessor_seconds
    # A part may be tried with the version that waits for it and then with the active one.
    assert steps > 4
    assert trials > 1
    for direction in ("read", "send"):
        (seconds,) = re.findall(rf"proxy_{direction}_timeout (\d+)s;", LONG_LOCATION)
        assert int(seconds) == BUILD_SECONDS > 2 * build


def test_every_long_operation_of_the_contract_has_the_long_time(tmp_path: Path) -> None:
    """What changes, loads or copies a version, and SDKs; what is quick keeps the short time."""
    contract = contract_of()
    specification = kept_contracts(contract, tmp_path).specification(contract)
    base, long = specification["basePath"], re.compile(LONG_LOCATION.partition(" {")[0].strip())
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for path, item in specification["paths"].items():
        asked = base + re.sub(r"{\w+}", "3-0a1b2c3d", path)
        for method in item.keys() & {"get", "post", "put", "delete"}:
            operation = item[method]
            changes = method == "post" and operation.get("x-role") == "manage"
            is_long = changes or not {ZIP, ARCHIVE}.isdisjoint(operation.get("produces", ()))
            name = operation["operationId"]
            assert (long.match(asked) is not None) == is_long, (method, path)
            assert OPERATIONS[name].seconds == (BUILD_SECONDS if is_long else ANSWER_SECONDS)
            found[is_long].add(name)
    assert {"upload_policy", "upload_model", "verify_version"} < found[True]
    assert {"predict", "predict_batch", "health_ready", "versions"} < found[False]


class Late(http.server.BaseHTTPRequestHandler):
    """Answers whatever it is asked, and takes its time."""

    def do_GET(self) -> None:
        time.sleep(LATE_SECONDS)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The shipped file, a minute of which is a second, with a path of a larger site beside.

    Behind it is what answers after three of its minutes: longer than any short operation may take.
    """
    folder = tmp_path_factory.mktemp("hasty")
    late = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late)
    threading.Thread(target=late.serve_forever, daemon=True).start()
    changes = {
        BELOW: BELOW.replace("    # ", "    "),
        "_timeout 4200s;": "_timeout 70s;",
        "proxy_read_timeout 60s;": "proxy_read_timeout 1s;",
        "rate=20r/s": "rate=5000r/s",
    }
    site = shipped_site(folder, late.server_port, changes)
    with running(site.command, folder, {}, answers(f"http://127.0.0.1:{site.plain_port}")):
        yield site
    late.shutdown()
    late.server_close()


def paths_of(operation: Operation) -> list[str]:
    path = operation.path_with(**dict.fromkeys(PARAMETERS.findall(operation.path), "3-0a1b2c3d"))
    of_the_server = operation.path.startswith(ROOT_OF_POLICIES)
    prefixes = ["/api", "/policy/api", "" if of_the_server else "/policies/left/api"]
    return [f"{prefix}{path}" for prefix in prefixes]


def test_nginx_waits_for_every_long_operation(hasty: Site) -> None:
    def status(asked: tuple[Operation, str]) -> int:
        operation, path = asked
        answer = requests.request(
            operation.method, hasty.url + path, verify=str(hasty.authority), timeout=60
        )
        if answer.status_code != 200:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer.status_code

    asked = [(each, path) for each in OPERATIONS.values() for path in paths_of(each)]
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(status, asked))
    for (operation, path), code in zip(asked, found, strict=True):
        long = operation.seconds == BUILD_SECONDS or path.startswith("/policy/")
        assert code == (200 if long else 504), path


def test_nginx_takes_what_an_operation_takes(hasty: Site) -> None:
    settings = Settings()
    most = settings.upload_megabytes * 1_000_000
    for operation in OPERATIONS.values():
        if operation.body is Body.NONE:
            continue
        uploads = operation.body is Body.FILES
        megabytes = settings.upload_megabytes if uploads else settings.body_megabytes
        for path in paths_of(operation):
            assert announced(hasty, path, megabytes * 1_000_000) == 100, path
            assert announced(hasty, path, most + 1) == 413, path


def test_nginx_lets_go_of_kept_connections_before_the_server_does() -> None:
    upstream = GIVEN.partition("upstream ")[2].partition("\n}")[0]
    (seconds,) = re.findall(r"^    keepalive_timeout (\d+)s;", upstream, re.MULTILINE)
    keepalive = runpy.run_path(str(ROOT / "gunicorn.conf.py"))["keepalive"]
    assert int(seconds) < keepalive == Settings().keep_alive_seconds
