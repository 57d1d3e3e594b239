"""The client for Python, beyond what all languages do: awaited, with tables, types and options."""

import asyncio
import importlib
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from policy_server.contract.contract import ContractFile
from policy_server.contract.samples import random_observations
from tests.clients.conftest import Options, Results, Step
from tests.clients.fault_suite import FAULTS
from tests.clients.faults import Misbehaving, sending, silent, trickling
from tests.clients.python_sdk import MODULE, make_python_sdk
from tests.clients.strangers import answering
from tests.support.nginx import client_certificate, make_certificates
from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn

ANSWER = {"action": 1, "meaning": "move right", "probability": 0.5}
ROWS = 25
TASKS = 20
TYPED = Path(__file__).parent / "drivers" / "typed.py.txt"


@pytest.fixture(scope="module")
def made(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A BASE_PATH in which lpoc decides, and the folder of its SDK."""
    return make_python_sdk(published_lpoc, tmp_path_factory.mktemp("python"))


@pytest.fixture(scope="module")
def base_path(made: tuple[Path, Path]) -> Path:
    return made[0]


@pytest.fixture(scope="module")
def folder(made: tuple[Path, Path]) -> Path:
    return made[1]


@pytest.fixture(scope="module")
def sdk(folder: Path) -> ModuleType:
    sys.path.insert(0, str(folder))
    return importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    with gunicorn(base_path, POLICY_SERVER_BODY_MEGABYTES="1") as made:
        yield made


@pytest.fixture
def client(sdk: ModuleType, server: Server) -> Iterator[Any]:
    with sdk.Client(server.url, user=USER, password=PASSWORD) as made:
        yield made


@pytest.fixture(scope="module")
def rows(base_path: Path) -> list[dict[str, Any]]:
    schema = ContractFile.read(base_path).resolve().schema
    return list(random_observations(schema, ROWS, seed=3))


async def result_of(sdk: ModuleType, client: Any, step: Step) -> dict[str, Any]:
    """What came of a step, in the words of the drivers."""
    try:
        if "file" in step:
            return {"ok": await client.versions.upload_output_mapper(step["file"])}
        observation = sdk.Observation.from_dict(step["observation"])
        return {"ok": await client.predictions.predict(observation)}
    except sdk.DeadlineExceeded as error:
        return {"deadline": True, "message": str(error)}
    except sdk.BrokenAnswer as error:
        return {"broken": True, "message": str(error)}
    except sdk.ServerUnreachable as error:
        return {"unreachable": True, "message": str(error)}
    except sdk.ApiException as error:
        return {"refused": {"status": error.status, "type": error.type, "pointers": []}}


async def results_of(sdk: ModuleType, options: Options, steps: list[Step]) -> Results:
    """What came of steps that are awaited one after the other."""
    async with sdk.AsyncClient(**options) as client:
        return [await result_of(sdk, client, each) for each in steps]


@pytest.fixture(scope="module")
def awaited(
    sdk: ModuleType, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, tuple[Results, Misbehaving]]:
    """All faults at the same time: what came of each, and what the server saw."""
    file = tmp_path_factory.mktemp("upload") / "output_mapper.yaml"
    file.write_text("{}")
    servers = {name: Misbehaving(fault.behaviour(ANSWER)) for name, fault in FAULTS.items()}

    async def all_results() -> list[Results]:
        asked = [
            results_of(sdk, fault.client(servers[name]), fault.steps(name, rows[0], str(file)))
            for name, fault in FAULTS.items()
        ]
        return await asyncio.gather(*asked)

    with ExitStack() as stack:
        for each in servers.values():
            stack.enter_context(each.serving())
        found = asyncio.run(all_results())
    return {name: (found[place], servers[name]) for place, name in enumerate(FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_misbehaves_is_the_same_error_where_it_is_awaited(
    awaited: Mapping[str, tuple[Results, Misbehaving]], fault: str
) -> None:
    FAULTS[fault].check(*awaited[fault])


def test_a_task_that_is_cancelled_waits_for_nothing(
    sdk: ModuleType, rows: list[dict[str, Any]]
) -> None:
    server = Misbehaving(silent(ANSWER))
    observation = sdk.Observation.from_dict(rows[0])

    async def ask() -> None:
        async with sdk.AsyncClient(server.url, user=USER, password=PASSWORD) as client:
            await asyncio.wait_for(client.predictions.predict(observation), 0.2)

    with server.serving(), pytest.raises(TimeoutError) as raised:
        asyncio.run(ask())
    assert not isinstance(raised.value, sdk.OpenApiException)


def test_a_deadline_that_the_service_keeps_is_the_same_error(
    sdk: ModuleType, rows: list[dict[str, Any]]
) -> None:
    problem = {
        "type": "/problems/deadline-exceeded",
        "title": "Deadline exceeded",
        "status": 504,
        "detail": "It was not decided in time.",
    }
    body = json.dumps(problem).encode()
    server = Misbehaving(sending(body, "application/problem+json", "504 Gateway Timeout")(ANSWER))
    with (
        server.serving(),
        sdk.Client(server.url) as client,
        pytest.raises(sdk.DeadlineExceeded, match="not decided in time") as raised,
    ):
        client.predictions.predict(sdk.Observation.from_dict(rows[0]))
    assert raised.value.__cause__.status == problem["status"]


def test_what_a_function_for_tokens_raises_is_not_taken_for_the_deadline(
    sdk: ModuleType, rows: list[dict[str, Any]]
) -> None:
    def token() -> str:
        raise TimeoutError("the provider is slow")

    async def ask() -> None:
        async with sdk.AsyncClient("http://127.0.0.1:1", token=token) as client:
            await client.predictions.predict(sdk.Observation.from_dict(rows[0]))

    with pytest.raises(TimeoutError, match="the provider is slow") as raised:
        asyncio.run(ask())
    assert type(raised.value) is TimeoutError


def test_tasks_and_threads_share_a_client_and_agree_with_each_other(
    sdk: ModuleType, server: Server, client: Any, rows: list[dict[str, Any]]
) -> None:
    given = [sdk.Observation.from_dict(each) for each in rows[:TASKS]]

    async def ask() -> list[Any]:
        async with sdk.AsyncClient(server.url, token=token, max_connections=4) as made:
            asked = [made.predictions.predict(each, seed=1) for each in given]
            return await asyncio.gather(*asked)

    async def token() -> str:
        return KEY

    with ThreadPoolExecutor(TASKS) as pool:
        threaded = list(pool.map(lambda each: client.predictions.predict(each, seed=1), given))
    assert asyncio.run(ask()) == threaded
    own = [server.post("predict", each, params={"seed": 1}).json() for each in rows[:TASKS]]
    assert [each.to_dict() | {"policy_version": None} for each in threaded] == [
        each | {"policy_version": None} for each in own
    ]


def test_episodes_are_awaited(sdk: ModuleType, client: Any, rows: list[dict[str, Any]]) -> None:
    given = [sdk.Observation.from_dict(each) for each in rows[:3]]

    async def ask() -> list[Any]:
        url = client._session.url
        async with sdk.AsyncClient(url, user=USER, password=PASSWORD) as made:
            episode = made.episode()
            return [await episode.decide(each, deterministic=True) for each in given]

    episode = client.episode()
    assert asyncio.run(ask()) == [episode.decide(each, deterministic=True) for each in given]


def own_batch(server: Server, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = {"observations": rows}
    answer = server.post("predict_batch", body, params={"deterministic": "true"})
    decided: list[dict[str, Any]] = answer.json()["predictions"]
    return decided


def test_a_data_frame_is_decided_piece_by_piece(
    client: Any, server: Server, rows: list[dict[str, Any]]
) -> None:
    frame = pd.DataFrame(rows, index=range(100, 100 + ROWS))
    assert frame.isna().any(axis=None), "some rows lack optional fields"
    decided = client.predict_frame(frame, deterministic=True, batch_size=10)
    assert list(decided.index) == list(frame.index)
    assert len(set(decided.pop("policy_version"))) == 1
    assert decided.to_dict("records") == own_batch(server, rows)
    drawn = [client.predict_frame(frame, seed=seed, batch_size=10) for seed in (1, 1, 2)]
    assert drawn[0].equals(drawn[1])
    assert not drawn[0].equals(drawn[2])
    assert client.predict_frame(frame[:0]).empty


def test_arrays_are_decided_and_so_is_a_table_that_is_awaited(
    sdk: ModuleType, client: Any, server: Server, rows: list[dict[str, Any]]
) -> None:
    full = [{**rows[0], **each} for each in rows]
    arrays = {name: np.array([each[name] for each in full]) for name in full[0]}

    async def ask() -> Any:
        async with sdk.AsyncClient(server.url, user=USER, password=PASSWORD) as made:
            return await made.predict_frame(pd.DataFrame(full), deterministic=True)

    decided = client.predict_frame(arrays, deterministic=True)
    own = own_batch(server, full)
    assert [int(each) for each in decided["action"]] == [each["action"] for each in own]
    assert np.array_equal(decided["probability"], [each["probability"] for each in own])
    assert asyncio.run(ask())["meaning"].tolist() == [each["meaning"] for each in own]


def test_a_piece_that_is_too_long_for_the_server_is_halved(
    client: Any, rows: list[dict[str, Any]]
) -> None:
    many = pd.DataFrame(rows * 200)
    too_long = len(many.to_json(orient="records"))
    assert too_long > 1_000_000, too_long
    assert len(client.predict_frame(many)) == len(many)


def test_a_table_that_is_none_of_observations_is_refused(
    sdk: ModuleType, client: Any, rows: list[dict[str, Any]]
) -> None:
    frame = pd.DataFrame(rows)
    with pytest.raises(ValueError, match=r"'idd' is no field; column 'id' is missing.*has_core"):
        client.predict_frame(frame.rename(columns={"id": "idd"}))
    with pytest.raises(ValueError, match=r"'id' is there twice"):
        client.predict_frame(pd.concat([frame, frame["id"]], axis=1))
    with pytest.raises(ValueError, match=r"'id' must be given, and has no value in row 12"):
        client.predict_frame(frame.assign(id=[*frame["id"][:12], None, *frame["id"][13:]]))
    wrong = frame.assign(id=[*frame["id"][:-1], 77])
    with pytest.raises(sdk.BadRequestException, match=rf"/observations/{ROWS - 1}/id") as raised:
        client.predict_frame(wrong, batch_size=10)
    assert [each.pointer for each in raised.value.data.errors] == [f"/observations/{ROWS - 1}/id"]


def test_scalars_and_arrays_of_numpy_are_what_they_are(
    sdk: ModuleType, client: Any, rows: list[dict[str, Any]]
) -> None:
    plain = sdk.Observation.from_dict(rows[0])
    numbers = {
        **rows[0],
        "id": np.int64(plain.id),
        "has_core": np.bool_(plain.has_core),
        "coordinates": np.array(plain.coordinates),
        "target": [np.int8(each) for each in plain.target],
    }
    made = sdk.Observation(**numbers)
    assert made == plain
    assert made.to_json() == plain.to_json()
    made.id = np.int32(4)
    assert (made.id, type(made.id)) == (4, int)
    with pytest.raises(ValueError, match="less than or equal to 10"):
        made.id = np.int32(11)
    raw = sdk.RawObservation(obs=np.zeros(39, dtype=np.float32))
    assert client.predictions.predict_raw(raw, seed=np.int64(1)).meaning
    with pytest.raises(ValueError, match="finite number"):
        sdk.RawObservation(obs=[float("nan")])


def test_options_of_some_calls_leave_the_others_as_they_are(
    sdk: ModuleType, rows: list[dict[str, Any]]
) -> None:
    stranger = answering(ANSWER)
    observation = sdk.Observation.from_dict(rows[0])
    with stranger.serving(), sdk.Client(stranger.url, headers={"X-All": "1"}) as client:
        with client.with_options(timeout=5, headers={"X-Some": "2"}) as some:
            some.predictions.predict(observation, headers={"X-One": "3"})
        client.predictions.predict(observation)
        client.with_options(timeout=None).predictions.predict(observation)
    names = ("X-All", "X-Some", "X-One")
    seen = [[headers.get(name) for name in names] for headers in stranger.received]
    assert seen == [["1", "2", "3"], ["1", None, None], ["1", None, None]]
    asked = [headers.get("X-Request-Timeout") for headers in stranger.received]
    assert float(asked[0] or 0) <= 5 < float(asked[1] or 0)
    assert asked[2] is None
    assert len({headers["User-Agent"] for headers in stranger.received}) == 1


def test_a_client_of_httpx_of_ones_own_keeps_the_deadline(
    sdk: ModuleType, rows: list[dict[str, Any]]
) -> None:
    server = Misbehaving(trickling(ANSWER))
    observation = sdk.Observation.from_dict(rows[0])
    with server.serving():
        for transport in (httpx.HTTPTransport(), sdk.Transport()):
            with httpx.Client(transport=transport) as own:
                client = sdk.Client(server.url, http_client=own, timeout=0.5)
                with pytest.raises(sdk.DeadlineExceeded):
                    client.predictions.predict(observation)
                client.close()
                assert not own.is_closed
    with pytest.raises(ValueError, match=r"`proxy`, `max_connections`.*`http_client`"):
        sdk.Client(http_client=own, proxy="http://127.0.0.1:1", max_connections=3)


def test_secrets_are_in_no_text(
    sdk: ModuleType, server: Server, rows: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    observation = sdk.Observation.from_dict(rows[0])
    texts = []
    for given in ({"user": USER, "password": PASSWORD}, {"key": KEY}, {"token": KEY}):
        with sdk.Client(server.url, **given) as client:
            client.predictions.predict(observation)
            with pytest.raises(sdk.ApiException) as raised:
                client.predictions.predict_raw(sdk.RawObservation(obs=[0.0]))
        texts += [repr(client), repr(client._options), repr(client._session)]
        texts += [str(raised.value), repr(raised.value)]
    with pytest.raises(ValueError, match="give `user` and `password`") as refused:
        sdk.Client(f"http://{USER}:{KEY}@127.0.0.1/api")
    told = [record.getMessage() for record in caplog.records]
    assert any("/api/predict: 200 in" in each and "version 1-" in each for each in told)
    for text in (*texts, *told, str(refused.value)):
        assert PASSWORD not in text
        assert KEY not in text
        assert "Basic " not in text


def test_types_are_strict_over_the_package_and_a_program_that_uses_it(
    folder: Path, tmp_path: Path
) -> None:
    program = tmp_path / "typed.py"
    program.write_text(TYPED.read_text(encoding="utf-8"), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    command += [str(program), MODULE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    program.write_text(program.read_text("utf-8").replace("id=3", "idd=3"), encoding="utf-8")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert 'Unexpected keyword argument "idd"' in done.stdout


def test_the_readme_runs_as_it_stands(folder: Path, server: Server, tmp_path: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    first, *blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert first == (folder / "example.py").read_text(encoding="utf-8")
    assert len(blocks) == 7
    make_certificates(tmp_path)
    client_certificate(tmp_path)
    episode = next(each for each in blocks if "step by step" in each)
    program = tmp_path / "readme.py"
    program.write_text("".join(each for each in blocks if each != episode), encoding="utf-8")
    variables = {"POLICY_URL": server.url, "POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        env={**os.environ, **variables, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("move") + done.stdout.count("no movement") >= 7
