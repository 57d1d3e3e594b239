"""What every SDK does, in every language, for every kind of action, against real servers."""

import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from policy_server.clients.names import identifiers
from tests.clients import episodes
from tests.clients.asking import own_answer, refused, step
from tests.clients.conftest import (
    Drive,
    Results,
    Service,
    make_sdks,
    steps_taken,
    take_steps,
)
from tests.clients.fast_path import takes
from tests.clients.fault_suite import FAULTS, SERVICE, client_of, each_fault
from tests.clients.faults import Misbehaving, answering_well
from tests.clients.secured import CLIENTS, TENANT
from tests.clients.strangers import REDIRECTS
from tests.clients.suite import (
    ACCEPTED,
    AT_ONCE,
    Taken,
    answered,
    invalid,
    made_steps,
    own_answers,
    predict_steps,
    take_all,
    without_version,
)
from tests.clients.toolchains import TOOLCHAINS, Toolchain, run
from tests.clients.witness import Witness
from tests.support.nginx import make_certificates
from tests.support.server import KEY, PASSWORD, ROOT, USER, gunicorn

LEAVE_SECONDS = 30.0
AUTHORITY_IN = {"python": "SSL_CERT_FILE", "typescript": "NODE_EXTRA_CA_CERTS"}
"""Where a language's own means take the certificate of an authority from."""
SHOWS_OPTIONS = ("java", "scala")
"""Languages of which an example shows what can be given to a client."""
UPLOADS = {
    "lpoc": ("output_mapper", "examples/lpoc/output_mapper.yaml"),
    "names": ("preprocessor", "tests/clients/names/preprocessor.py"),
}
"""Service -> what is uploaded to it; the code of an upload depends on the part alone."""


@pytest.fixture(scope="session")
def all_taken() -> dict[tuple[str, str], Taken]:
    """Language and service -> what came of it: one run of the driver for all tests."""
    return {}


@pytest.fixture
def take(
    drive: Drive,
    toolchain: Toolchain,
    all_taken: dict[tuple[str, str], Taken],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Service], Taken]:
    def taken(service: Service) -> Taken:
        key = (toolchain.language, service.name)
        if key not in all_taken:
            all_taken[key] = take_all(drive, service, key[0], tmp_path_factory.mktemp("suite"))
        return all_taken[key]

    return taken


@pytest.fixture
def results(take: Callable[[Service], Taken], service: Service) -> dict[str, Results]:
    """What came of the steps of the suite."""
    return take(service).results


def test_two_builds_are_the_same_byte_for_byte(
    services: Mapping[str, Service], tmp_path: Path
) -> None:
    def zips(base_path: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in base_path.glob("clients/*/*/*.zip")}

    # The first build was seconds ago: longer than the finest time that a zip can tell.
    service = services["lpoc"]
    make_sdks(service.name, tmp_path)
    assert zips(tmp_path).keys() == {f"{name}.zip" for name in (*TOOLCHAINS, "clients")}
    assert zips(tmp_path) == zips(service.base_path)


@pytest.mark.parametrize("name", ["predict", "deterministic", "distribution", "batch"])
def test_decisions_and_distributions_are_those_of_the_server(
    results: dict[str, Results], service: Service, name: str
) -> None:
    expected = own_answers(service, predict_steps(service)[name])
    assert without_version(answered(results[name])) == expected


@pytest.mark.parametrize(
    "name", ["predict", "deterministic", "distribution", "batch", "empty", "episodes"]
)
def test_every_answer_says_which_version_decided(
    results: dict[str, Results], service: Service, name: str
) -> None:
    answer = service.server.post("predict", service.schema.example())
    decided = answer.headers["X-Policy-Version"]
    assert {each["policy_version"] for each in answered(results[name])} == {decided}


def test_an_empty_batch_is_answered(results: dict[str, Results]) -> None:
    assert without_version(answered(results["empty"])) == [{"predictions": []}]


def test_the_schema_is_read(results: dict[str, Results], service: Service) -> None:
    assert answered(results["schema"]) == [service.schema.text]


def test_keys_are_sent_as_header_and_as_token(
    results: dict[str, Results], service: Service
) -> None:
    expected = own_answer(service, "predict", service.schema.example(), seed=1)
    assert without_version(answered(results["credentials"])) == [expected, expected]


def test_a_token_may_come_from_a_function_that_renews_it(
    results: dict[str, Results], service: Service
) -> None:
    expired, renewed = results["renewed"]
    assert expired == refused(401, "not-authenticated")
    expected = own_answer(service, "predict", service.schema.example(), seed=1)
    assert without_version(answered([renewed])) == [expected]


def test_a_wrong_password_is_an_error_of_its_own(results: dict[str, Results]) -> None:
    assert results["wrong password"] == [refused(401, "not-authenticated")]


def test_an_invalid_observation_is_refused_with_its_pointer(
    results: dict[str, Results], service: Service, toolchain: Toolchain
) -> None:
    _, pointer = invalid(service)
    (result,) = results["invalid"]
    # In Python the bounds are checked before anything is sent.
    told = (0, None) if toolchain.language == "python" else (400, "not-a-valid-observation")
    assert result == refused(*told, pointer)


@pytest.mark.parametrize(
    ("name", "kind", "pointer"),
    [
        ("wrong width", "not-a-valid-observation", "/obs"),
        ("forged", "memory-is-not-genuine", "/memory"),
    ],
)
def test_what_only_the_server_knows_is_refused_with_its_pointer(
    results: dict[str, Results], name: str, kind: str, pointer: str
) -> None:
    assert results[name] == [refused(400, kind, pointer)]


def test_a_server_that_is_not_there_is_an_error_of_its_own(results: dict[str, Results]) -> None:
    assert [result.get("unreachable") for result in results["nowhere"]] == [True]


@pytest.mark.parametrize(("toolchain", "fault"), each_fault(), indirect=["toolchain"])
def test_a_server_that_misbehaves_is_an_error_that_says_so_in_time(
    take: Callable[[Service], Taken], services: Mapping[str, Service], fault: str
) -> None:
    taken = take(services[SERVICE])
    FAULTS[fault].check(taken.results[client_of(fault)], taken.faulty[fault])


def test_one_request_is_like_the_next_and_the_fast_path_takes_it(
    take: Callable[[Service], Taken], services: Mapping[str, Service]
) -> None:
    """So the server remembers what its head says, and need not read it again."""
    requests = take(services[SERVICE]).faulty["closing"].received
    assert len(requests) > 2
    for request in requests:
        assert dict(request.headers) == dict(requests[0].headers)
        assert takes(request)


def test_each_client_says_once_that_there_is_a_newer_one(
    toolchain: Toolchain, services: Mapping[str, Service], tmp_path: Path
) -> None:
    service = services[SERVICE]
    sdk, observation = service.sdk(toolchain.language), service.schema.example()
    answer = own_answer(service, "predict", observation)
    newer = Misbehaving(answering_well(answer, "X-Newer-Client: 9.8.7\r\n"))
    odd = Misbehaving(answering_well(answer, "X-Newer-Client: <b>7.6.5</b>\r\n"))
    urls = {"first": newer.url, "second": newer.url, "third": odd.url}
    others = {name: {"url": url, "user": USER, "password": PASSWORD} for name, url in urls.items()}
    steps = [step("predict", client, observation=observation) for client in urls for _ in range(3)]
    with newer.serving(), odd.serving():
        results, told = steps_taken(toolchain, sdk, newer.url, steps, tmp_path, others)
    assert len(answered(results)) == len(steps)
    said = f"{service.package.version} was made for an older schema than the service has now"
    lines = [line for line in told.splitlines() if said in line]
    assert [line.split(said)[1] for line in lines] == [
        f"; version 9.8.7 is at {newer.url}/clients/{toolchain.language}"
    ] * 2
    assert "7.6.5" not in told
    assert PASSWORD not in told


def test_episodes_in_turns_each_go_on_from_their_own_memory(
    results: dict[str, Results], service: Service
) -> None:
    expected = episodes.own_decisions(service, episodes.taking_turns(service))
    assert without_version(answered(results["episodes"])) == expected


def test_steps_of_an_episode_wait_for_each_other(
    results: dict[str, Results], service: Service
) -> None:
    steps = episodes.one_by_one(episodes.shared(service))
    first, at_once = answered(results["shared episode"])
    answers, own = without_version([first, *at_once]), episodes.own_decisions(service, steps)
    assert len(answers) == len(own)
    assert [answers.count(each) for each in own] == [own.count(each) for each in own]


def test_a_step_whose_answer_was_lost_is_taken_again(
    results: dict[str, Results], service: Service
) -> None:
    lost, heard = results["lost answers"][::2], results["lost answers"][1::2]
    assert [result.get("unreachable") for result in lost] == [True] * len(heard)
    expected = episodes.own_decisions(service, episodes.taken_again(service, "user")[::2])
    assert without_version(answered(heard)) == expected


def test_an_episode_goes_on_after_a_refused_step(
    results: dict[str, Results], service: Service
) -> None:
    first, invalid_step, then = results["refused in between"]
    assert invalid_step["refused"]["pointers"][0].endswith(invalid(service)[1])
    expected = episodes.own_decisions(service, episodes.refused_between(service, {})[::2])
    assert without_version(answered([first, then])) == expected


def unsaid(result: dict[str, Any], names: Collection[str]) -> list[str]:
    """The names that an error says nothing of."""
    return [name for name in names if name not in result["unknown"]]


def test_unknown_fields_are_refused_before_anything_is_sent(
    take: Callable[[Service], Taken], service: Service, toolchain: Toolchain
) -> None:
    taken = take(service)
    assert taken.silent.received == []
    for result in taken.results["unknown, read"]:
        assert "unknown_field" in result["unknown"]
        assert unsaid(result, service.schema.fields) == []
    steps = made_steps(service, toolchain.language)
    for each, result in zip(steps, taken.results["unknown, made"], strict=True):
        assert list(each.get("update") or each["observation"])[-1] in result["unknown"]
        if toolchain.language == "typescript":
            assert unsaid(result, identifiers(service.schema.fields, camel=True).values()) == []


@pytest.mark.parametrize("client", ACCEPTED)
def test_no_redirect_is_followed(
    take: Callable[[Service], Taken], service: Service, client: str
) -> None:
    taken = take(service)
    results = taken.results[f"redirected {client}"]
    assert taken.elsewhere.received == []
    assert len(taken.pointing.received) == len(results) * len(ACCEPTED)
    for result, status in zip(results, REDIRECTS * (len(results) // len(REDIRECTS)), strict=True):
        assert result["redirected"] == status
        assert taken.elsewhere.url in result["message"]
        assert "follows no redirects" in result["message"]


def test_by_a_private_authority_a_certificate_and_a_proxy(
    take: Callable[[Service], Taken], services: Mapping[str, Service]
) -> None:
    service = services[SERVICE]
    taken = take(service)
    ((known,), (untrusting,), (unknown,)) = (taken.results[client] for client in CLIENTS)
    expected = own_answer(service, "predict", service.schema.example(), seed=1)
    assert without_version(answered([known])) == [expected]
    assert untrusting.get("unreachable") is True
    assert unknown == refused(400, None)
    assert taken.secured is not None
    asked = taken.secured.proxy.asked
    assert {line for line, _ in asked} == {f"CONNECT {taken.secured.address}"}
    assert len(asked) >= len(CLIENTS)
    assert not any("authorization" in each.lower() for _, head in asked for each in head)
    agents = re.compile(rf"\S+/{re.escape(service.package.version)}\b")
    for subject, tenant, agent, status in taken.secured.seen():
        assert (subject, status) in [("CN=robot-7", "200"), ("-", "400")]
        assert tenant == TENANT
        assert agents.match(agent)


def test_decisions_at_the_same_time_each_have_their_own_version(
    results: dict[str, Results],
) -> None:
    (versions,) = answered(results["at the same time"])
    assert versions == [f"{seed}-0f" for seed in range(AT_ONCE)]


def test_the_example_runs_as_it_is_shipped(toolchain: Toolchain, service: Service) -> None:
    sdk = service.sdk(toolchain.language)
    asks = {"POLICY_URL": service.server.url, "POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}
    with_key = {"POLICY_URL": service.server.url, "POLICY_KEY": KEY}
    with_token = {"POLICY_URL": service.server.url, "POLICY_TOKEN": KEY}
    # The lines that read a key or a token are the same for all services.
    for variables in (asks, with_key, with_token) if service.name == "lpoc" else (asks,):
        printed = run(toolchain.example(sdk), sdk.folder, {**toolchain.variables(), **variables})
        assert re.search(r"\d", printed), printed
    head = own_answer(service, "distribution", service.schema.example()).get("heads", [{}])[0]
    meanings = head.get("meanings", [""])
    assert any(meaning in printed for meaning in meanings)
    if service.name == "lpoc":
        variables = {**toolchain.variables(), **asks}
        printed = run(toolchain.example(sdk, "episode"), sdk.folder, variables)
        assert sum(printed.count(meaning) for meaning in meanings) == 3
    if service.name == "lpoc" and toolchain.language in SHOWS_OPTIONS:
        printed = run(toolchain.example(sdk, "options"), sdk.folder, variables)
        drawn = own_answer(service, "predict", service.schema.example(), seed=7)
        assert f"meaning: {drawn['meaning']}" in printed
        assert "in one request: 2" in printed


@pytest.mark.parametrize("name", UPLOADS)
def test_versions_are_uploaded_listed_gone_back_from_and_removed(
    drive: Drive, services: Mapping[str, Service], name: str, tmp_path: Path
) -> None:
    service, (part, file) = services[name], UPLOADS[name]
    other = tmp_path / Path(file).name
    other.write_text((ROOT / file).read_text() + "# Of other content.\n")
    active = service.base_path / "active"
    before = active.read_text().strip()
    (report,) = answered(drive(service, [step(f"upload_{part}", file=str(other))]))
    assert report["state"] == "active"
    assert all(check["passed"] for check in report["checks"])
    uploaded = report["version"]
    latest = service.server.get("builds").json()["builds"][
        0
    ]  # it was not waited for in one request
    assert (latest["operation"], latest["report"]["version"]) == (f"upload_{part}", uploaded)
    assert uploaded == active.read_text().strip() != before
    steps = [step("versions"), step("activate_version", version=before)]
    listed, activated = answered(drive(service, steps))
    assert listed["active"] == uploaded
    assert {before, uploaded} <= {each["version"] for each in listed["versions"]}
    assert (activated["version"], activated["state"]) == (before, "active")
    assert active.read_text().strip() == before
    deadline = time.monotonic() + LEAVE_SECONDS
    while {each["version"]: each["workers"] for each in versions(service)}[uploaded]:
        assert time.monotonic() < deadline, "the worker still decides with what was left"
        time.sleep(0.05)
    steps = [step("delete_version", version=name) for name in (before, uploaded)]
    active_still, removed = drive(service, steps)
    assert active_still == refused(409, "version-conflict")
    assert removed == {"ok": None}
    assert uploaded not in [each["version"] for each in versions(service)]


@pytest.fixture(scope="module")
def elsewhere(
    services: Mapping[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """Where lpoc is served by TLS below a path of a larger site, and who vouches for it."""
    folder = tmp_path_factory.mktemp("elsewhere")
    make_certificates(folder)
    base_path = shutil.copytree(services["lpoc"].base_path, folder / "instance")
    settings = {
        "POLICY_SERVER_TLS_CERTIFICATE": str(folder / "fullchain.pem"),
        "POLICY_SERVER_TLS_KEY": str(folder / "key.pem"),
        "POLICY_SERVER_PREFIX": "/site/policy",
    }
    with gunicorn(base_path, 1, **settings) as server:
        site = server.url.removesuffix("/api")
        yield f"{site}/site/policy/api", folder / "authority.pem"


@pytest.mark.parametrize("toolchain", AUTHORITY_IN, indirect=True)
def test_below_a_path_and_by_tls_of_a_private_authority(
    toolchain: Toolchain,
    services: Mapping[str, Service],
    elsewhere: tuple[str, Path],
    tmp_path: Path,
) -> None:
    (url, authority), service = elsewhere, services["lpoc"]
    observation = service.schema.example()
    steps = [step("predict", observation=observation, seed=1)]
    sdk, found = service.sdk(toolchain.language), []
    trusting = {AUTHORITY_IN[toolchain.language]: str(authority)}
    for number, variables in enumerate((trusting, {})):
        folder = tmp_path / str(number)
        folder.mkdir()
        found += take_steps(toolchain, sdk, url, steps, folder, variables=variables)
    known, unknown = found
    expected = own_answer(service, "predict", observation, seed=1)
    assert without_version(answered([known])) == [expected]
    assert unknown.get("unreachable") is True


def versions(service: Service) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = service.server.get("versions").json()["versions"]
    return listed


def test_a_service_that_cannot_answer_yet_is_asked_again(
    drive: Drive, services: Mapping[str, Service], tmp_path: Path
) -> None:
    service = services["lpoc"]
    base_path = Path(shutil.copytree(service.base_path, tmp_path / "instance"))
    active = (base_path / "active").rename(tmp_path / "active")
    body = service.schema.example()
    steps = [{"do": "predict", "client": "patient", "observation": body, "seed": 1}]
    with gunicorn(base_path) as server, ThreadPoolExecutor(1) as pool:
        witness = Witness(tmp_path, server)
        with witness.watching():
            results = pool.submit(drive, service, steps, witness.url)
            witness.await_answer()
            active.rename(base_path / "active")
            (answer,) = results.result()
            expected = server.post("predict", body, params={"seed": 1}).json()
            assert without_version(answered([answer])) == [expected]
            *refused, last = witness.statuses()
    assert set(refused) == {503}
    assert last == 200
