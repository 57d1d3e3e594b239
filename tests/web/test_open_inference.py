"""The policy as a model of an inference server: by hand, and by NVIDIA's clients beside Triton."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.server import KEY, Server, gunicorn, publish
from tests.support.triton import triton, write_model
from tests.support.tritonclient import tritonclient

SCHEMA = """\
observations:
  speed: {type: float, minimum: -5, maximum: 5}
  gear: {type: int, minimum: 0, maximum: 4}
  lit: {type: bool}
  kind: {type: str, enum: [car, bike]}
  ray: {type: "List[float]", min_items: 2, max_items: 2}
  pixels: {type: "List[int]", shape: [2, 2], encoding: base64, minimum: 0, maximum: 255}
  extra: {type: float, required: false}
"""
FEATURES, ACTIONS = 12, 4
KERNEL = linear_kernel(FEATURES, ACTIONS)
DATATYPES = {
    "speed": "FP64",
    "gear": "INT64",
    "lit": "BOOL",
    "kind": "BYTES",
    "ray": "FP64",
    "pixels": "UINT8",
    "extra": "FP64",
}
SHAPES = {"ray": [2], "pixels": [2, 2]}
DTYPES = {"FP64": "float64", "FP32": "float32", "INT64": "int64", "BOOL": "bool", "UINT8": "uint8"}
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("open-inference")
    policy = folder / "policy"
    policy.mkdir()
    (policy / "schema.yaml").write_text(SCHEMA)
    (policy / "model.onnx").write_bytes(linear_onnx(FEATURES, ACTIONS))
    with gunicorn(publish(policy, folder / "instance")) as server:
        yield server


OBSERVATIONS = [
    {**each, "extra": 0.5} for each in random_observations(read_schema(SCHEMA), 40, seed=3)
]


def tensor(name: str, rows: Sequence[Any]) -> dict[str, Any]:
    """A tensor of a field, of the JSON values of rows."""
    if name == "pixels":
        rows = [[*base64.b64decode(row)] for row in rows]
    flat = np.array(rows, object).ravel().tolist()
    shape = [len(rows), *SHAPES.get(name, [1])]
    return {"name": name, "datatype": DATATYPES[name], "shape": shape, "data": flat}


def tensors(observations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [tensor(name, [each[name] for each in observations]) for name in DATATYPES]


def ask(server: Server, path: str, body: Any = None, **options: Any) -> requests.Response:
    address = f"{server.url.removesuffix('/api')}{path}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    options = {"headers": BEARER, "timeout": 30, **options}
    if body is None:
        return requests.get(address, **options)
    return requests.post(address, data=content, **options)


def infer(server: Server, body: Any, **options: Any) -> requests.Response:
    return ask(server, "/v2/models/default/infer", body, **options)


def outputs(answer: requests.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {
        each["name"]: np.array(each["data"]).reshape(each["shape"])
        for each in answer.json()["outputs"]
    }


def predictions(server: Server, **parameters: str) -> list[dict[str, Any]]:
    answer = server.post("predict_batch", {"observations": OBSERVATIONS}, params=parameters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["predictions"]
    return found


def test_what_it_takes_and_gives_follows_from_the_schema(server: Server) -> None:
    told = ask(server, "/v2/models/default").json()
    assert {each["name"]: each["datatype"] for each in told["inputs"]} == DATATYPES
    shapes = {each["name"]: each["shape"][1:] for each in told["inputs"]}
    assert shapes == {name: SHAPES.get(name, [1]) for name in DATATYPES}
    assert {each["name"]: [each["datatype"], each["shape"]] for each in told["outputs"]} == {
        "action": ["INT64", [-1, 1]],
        "meaning": ["BYTES", [-1, 1]],
        "probability": ["FP64", [-1, 1]],
        "distribution_inputs": ["FP32", [-1, ACTIONS]],
    }
    version = server.get("health/ready").json()["version"]
    assert told["versions"] == [version]
    index = ask(server, "/v2/repository/index", {}).json()
    assert [(each["version"], each["state"]) for each in index] == [(version, "READY")]


@pytest.mark.parametrize("mode", [{"deterministic": True}, {"seed": 7}])
def test_it_decides_as_the_api_does(server: Server, mode: dict[str, Any]) -> None:
    answer = infer(server, {"id": "a", "inputs": tensors(OBSERVATIONS), "parameters": mode})
    found = outputs(answer)
    same = predictions(server, **{key: json.dumps(value) for key, value in mode.items()})
    assert found["action"][:, 0].tolist() == [each["action"] for each in same]
    assert found["meaning"][:, 0].tolist() == [each["meaning"] for each in same]
    assert found["probability"][:, 0].tolist() == [each["probability"] for each in same]
    assert answer.json()["id"] == "a"
    assert answer.json()["model_version"] == answer.headers["X-Policy-Version"]


def test_the_networks_own_numbers_are_those_of_its_formula(server: Server) -> None:
    rows = np.random.default_rng(1).uniform(-2, 2, (30, FEATURES)).astype(np.float32)
    given = {"name": "features", "datatype": "FP32", "shape": [30, FEATURES]}
    body = {
        "inputs": [{**given, "data": rows.tolist()}],
        "outputs": [{"name": "distribution_inputs"}],
    }
    found = outputs(infer(server, body))
    np.testing.assert_allclose(found["distribution_inputs"], rows @ KERNEL, rtol=1e-5, atol=1e-5)
    assert [*found] == ["distribution_inputs"]


def test_a_field_that_may_be_absent_needs_no_tensor(server: Server) -> None:
    given = [each for each in tensors(OBSERVATIONS) if each["name"] != "extra"]
    body = {"inputs": given, "parameters": {"deterministic": True}}
    without = [{name: v for name, v in each.items() if name != "extra"} for each in OBSERVATIONS]
    same = server.post(
        "predict_batch", {"observations": without}, params={"deterministic": "true"}
    ).json()["predictions"]
    assert outputs(infer(server, body))["action"][:, 0].tolist() == [e["action"] for e in same]


def changed(field: str, **changes: Any) -> list[dict[str, Any]]:
    """The tensors of one observation, one of them changed."""
    return [
        {**each, **changes} if each["name"] == field else each for each in tensors(OBSERVATIONS[:1])
    ]


REFUSED: dict[str, tuple[Any, str]] = {
    "no JSON": (b"{", "Input data was truncated"),
    "nothing": ({}, "inputs"),
    "no field": (changed("gear", name="geer"), "`geer` is no field"),
    "a field that is missing": (changed("gear", name="extra"), "`gear` is missing"),
    "twice": (changed("extra", name="gear", datatype="INT64", data=[1]), "comes more than once"),
    "more than fields": ([*changed("gear"), *changed("gear")], "14 tensors were sent; there are 7"),
    "another datatype": (changed("gear", datatype="FP32"), "`gear` is INT64"),
    "no datatype": (changed("gear", datatype="INT63"), "one of FP16"),
    "another shape": (changed("ray", shape=[1, 3], data=[1, 2, 3]), "`ray` has the shape [-1, 2]"),
    "too few numbers": (changed("ray", data=[1.0]), "not of the shape [1, 2]"),
    "too many numbers": (changed("ray", data=[1.0] * 3), "not of the shape [1, 2]"),
    "numbers as text": (changed("ray", data=["1", "2"]), "Expected `float`"),
    "truth as numbers": (changed("lit", data=[1]), "Expected `bool`"),
    "fractions": (changed("gear", data=[1.5]), "Expected `int`"),
    "bounds": (changed("gear", data=[5]), "Row 0: Expected `int` <= 4 - at `$.gear`"),
    "an enum": (changed("kind", data=["van"]), "Row 0: Invalid enum value"),
    "bounds of a datatype": (changed("pixels", data=[1, 2, 3, 256]), "Expected `int` <= 255"),
    "no rows": (
        [{**each, "shape": [0, *each["shape"][1:]], "data": []} for each in tensors(OBSERVATIONS)],
        "no rows to decide on",
    ),
    "unequal rows": (changed("gear", shape=[2, 1], data=[1, 2]), "as many rows"),
    "bytes that are not there": (
        changed("gear", parameters={"binary_data_size": 8}, data=None),
        "both `data` and",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_observation_is_refused_in_words(server: Server, case: str) -> None:
    body, words = REFUSED[case]
    answer = infer(server, {"inputs": body} if isinstance(body, list) else body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.json().keys() == {"error"}
    assert words in answer.json()["error"], answer.text


def test_numbers_that_json_has_not_are_refused_as_bytes_too(server: Server) -> None:
    given = [{**each, "parameters": {"binary_data_size": 8}} for each in changed("speed")[:1]]
    del given[0]["data"]
    head = json.dumps({"inputs": [*given, *tensors(OBSERVATIONS[:1])[1:]]}).encode()
    for number in (np.nan, np.inf, -np.inf):
        content = head + np.array([number]).tobytes()
        headers = {**BEARER, "Inference-Header-Content-Length": str(len(head))}
        answer = infer(server, content, headers=headers)
        assert (answer.status_code, "not finite" in answer.json()["error"]) == (400, True)


def test_parameters_that_would_change_nothing_are_refused(server: Server) -> None:
    for parameters in ({"sead": 1}, {"sequence_id": 3}, {"seed": -1}, {"seed": "1"}):
        answer = infer(server, {"inputs": changed("gear"), "parameters": parameters})
        assert answer.status_code == 400, answer.text
        assert next(iter(parameters)) in answer.json()["error"]
    unknown = infer(server, {"inputs": changed("gear"), "outputs": [{"name": "reward"}]})
    assert (unknown.status_code, "`reward` is no output" in unknown.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("path", "body", "options", "status"),
    [
        ("/v2/models/other", None, {}, 404),
        ("/v2/models/other/infer", {}, {}, 404),
        ("/v2/models/default/versions/9-none", None, {}, 404),
        ("/v2/models/default/versions/9-none/infer", {"inputs": changed("gear")}, {}, 409),
        ("/v2/models/default/infer", None, {}, 405),
        ("/v2/nothing", None, {}, 404),
        ("/v2/models/default", None, {"headers": {}}, 401),
        ("/v2/models/default", None, {"headers": {"Authorization": "Bearer no"}}, 401),
        ("/v2/models/default/infer", {}, {"headers": {}}, 401),
        ("/v2", None, {"headers": {}}, 401),
    ],
)
def test_every_refusal_is_an_error_as_the_clients_read_it(
    server: Server, path: str, body: Any, options: dict[str, Any], status: int
) -> None:
    answer = ask(server, path, body, **options)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert answer.headers["X-Request-Id"]


def test_a_shape_takes_no_memory_before_there_are_values(server: Server) -> None:
    """Two thousand million texts, of which not one byte was sent."""
    given = [
        {**each, "shape": [2**31 - 1, 1], "parameters": {"binary_data_size": 0}}
        for each in changed("kind")
    ]
    for each in given:
        del each["data"]
    before = memory_of(server)
    for each in given:
        answer = infer(server, {"inputs": [each]})
        assert (answer.status_code, answer.json().keys()) == (400, {"error"})
    assert memory_of(server) < before + 50_000_000


def memory_of(server: Server) -> int:
    """The most that any worker of a server has taken so far, in bytes."""
    pid = server.process.pid
    workers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = [Path(f"/proc/{each}/status").read_text() for each in workers]
    return max(int(text.split("VmHWM:")[1].split()[0]) for text in lines) * 1024


def test_many_tensors_are_refused_before_each_is_looked_at(server: Server) -> None:
    began = time.monotonic()
    infer(server, {"inputs": changed("gear")})
    usual = time.monotonic() - began
    one = {"name": "gear", "datatype": "INT64", "shape": [1], "data": [1]}
    began = time.monotonic()
    for count, words in ((9_000, "there are 7 fields"), (60_000, "10000")):
        answer = infer(server, {"inputs": [one] * count})
        assert (answer.status_code, words in answer.json()["error"]) == (400, True), answer.text
        assert len(answer.text) < 1_000
    wanted = [{"name": "x" * 1_000}] * 9_000
    answer = infer(server, {"inputs": tensors(OBSERVATIONS[:1]), "outputs": wanted})
    assert (answer.status_code, len(answer.text) < 1_000) == (400, True)
    # Comparing each with each would take some thousand times as long as one request.
    assert time.monotonic() - began < 500 * max(usual, 0.005)


def test_health_is_told_to_anybody(server: Server) -> None:
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert ask(server, path, headers={}).status_code == 200


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_hostile_bodies_are_answered_by_an_error(server: Server, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(DATATYPES) - 1))
    key = data.draw(st.sampled_from(["name", "datatype", "shape", "data", "parameters"]))
    given = tensors(OBSERVATIONS[:1])
    given[place] = {**given[place], key: data.draw(HOSTILE)}
    body: Any = {"inputs": given}
    if data.draw(st.booleans()):
        body |= {data.draw(st.sampled_from(["id", "outputs", "parameters"])): data.draw(HOSTILE)}
    content = json.dumps(body).encode()
    headers = dict(BEARER)
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
        content += data.draw(st.binary(max_size=20))
        length = data.draw(
            st.integers(-1, 2 * len(content)) | st.text("0123456789abc-", max_size=9)
        )
        headers["Inference-Header-Content-Length"] = str(length)
    answer = server.session.post(
        f"{server.url.removesuffix('/api')}/v2/models/default/infer",
        data=content,
        headers=headers,
        timeout=30,
    )
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json().keys() == {"error"}


def test_nvidias_clients_get_the_apis_decisions(server: Server) -> None:
    given = [{**each, "dtype": DTYPES.get(each["datatype"], "")} for each in tensors(OBSERVATIONS)]
    question = {"call": "infer", "model": "default", "inputs": given}
    questions: list[dict[str, Any]] = [
        {**question, "client": client, "binary": binary, "options": options}
        for client in ("http", "aio")
        for binary in (True, False)
        for options in ({"parameters": {"deterministic": True}}, {"parameters": {"seed": 7}})
    ]
    for client in ("http", "aio"):
        for call in ("is_server_live", "is_server_ready", "get_server_metadata"):
            questions.append({"client": client, "call": call, "arguments": []})
        for call in ("is_model_ready", "get_model_metadata"):
            questions.append({"client": client, "call": call, "arguments": ["default"]})
        questions.append({"client": client, "call": "get_model_metadata", "arguments": ["other"]})
    told = tritonclient(server.url.removesuffix("/api"), questions, BEARER)
    modes = predictions(server, deterministic="true"), predictions(server, seed="7")
    for index, answer in enumerate(told[:8]):
        same = modes[index % 2]
        assert answer["values"]["action"] == [each["action"] for each in same]
        assert answer["values"]["probability"] == [each["probability"] for each in same]
        assert answer["values"]["meaning"] == [each["meaning"] for each in same]
        assert answer["types"]["distribution_inputs"] == "float32"
    for answers in (told[8:14], told[14:]):
        assert answers[:2] == [True, True]
        assert answers[2]["name"] == "policy-server"
        assert answers[3] is True
        assert answers[4]["name"] == "default"
        assert "no such model" in answers[5]["refused"]


def test_nvidias_clients_say_the_same_of_it_and_of_a_real_triton(
    server: Server, tmp_path: Path
) -> None:
    write_model(tmp_path / "models", "default", {"1": KERNEL})
    rows = np.random.default_rng(2).uniform(-2, 2, (9, FEATURES)).astype(np.float32)

    def questions(name: str, output: str) -> list[dict[str, Any]]:
        tensor = {"name": name, "datatype": "FP32", "dtype": "float32", "shape": [9, FEATURES]}
        whole = {
            "call": "infer",
            "model": "default",
            "inputs": [{**tensor, "data": rows.ravel().tolist()}],
            "outputs": [output],
        }
        narrow = {**tensor, "shape": [9, FEATURES - 1], "data": rows[:, 1:].ravel().tolist()}
        return [
            {**changes, "client": client, "binary": binary}
            for client in ("http", "aio")
            for binary in (True, False)
            for changes in (whole, {**whole, "inputs": [narrow]}, {**whole, "model": "other"})
        ]

    with triton(tmp_path / "triton", tmp_path / "models") as oracle:
        expected = tritonclient(oracle.url, questions("obs", "logits"))
    found = tritonclient(
        server.url.removesuffix("/api"), questions("features", "distribution_inputs"), BEARER
    )
    assert len(found) == len(expected) == 12
    for ours, theirs in zip(found, expected, strict=True):
        if "refused" in theirs:
            assert "refused" in ours
            assert ours["status"] == theirs["status"], (ours, theirs)
            continue
        (numbers,), (same,) = ours["values"].values(), theirs["values"].values()
        np.testing.assert_allclose(numbers, same, rtol=1e-5, atol=1e-5)
        assert [*ours["shapes"].values()] == [*theirs["shapes"].values()]
        assert [*ours["types"].values()] == [*theirs["types"].values()]


def test_the_row_format_takes_and_gives_what_the_api_does(server: Server) -> None:
    body = {"instances": OBSERVATIONS}
    for parameters in ({"seed": "7"}, {"deterministic": "true"}):
        answer = ask(server, "/v1/models/default:predict", body, params=parameters)
        assert answer.json()["predictions"] == predictions(server, **parameters)
    (told,) = ask(server, "/v1/models/default").json()["model_version_status"]
    assert (told["version"], told["state"]) == (answer.headers["X-Policy-Version"], "AVAILABLE")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("default:predict", {"instances": [{**OBSERVATIONS[0], "gear": 9}]}, 400, "instances[0]"),
        ("default:predict", {"instances": 3}, 400, "Expected `array`"),
        ("default:predict", {"inputs": []}, 400, "unknown field"),
        ("default:predict", b"{", 400, "truncated"),
        ("default:predict?sead=1", {"instances": OBSERVATIONS}, 400, "seed"),
        ("other:predict", {"instances": []}, 404, "`default` is served"),
        ("default/versions/9-none:predict", {"instances": OBSERVATIONS}, 409, "9-none"),
        ("default:classify", {"instances": []}, 404, "nothing at this path"),
    ],
)
def test_the_row_format_says_what_is_wrong(
    server: Server, path: str, body: Any, status: int, words: str
) -> None:
    answer = ask(server, f"/v1/models/{path}", body)
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"error"}
    assert words in answer.json()["error"], answer.text


def test_it_is_counted_as_the_operation_that_does_the_same(server: Server) -> None:
    def counted() -> float:
        text = requests.get(f"{server.url.removesuffix('/api')}/metrics", timeout=30).text
        rows = [
            line
            for line in text.splitlines()
            if line.startswith("policy_server_requests_total")
            and 'operation="predict_batch"' in line
            and 'status="200"' in line
        ]
        return sum(float(line.split()[1]) for line in rows)

    before = counted()
    infer(server, {"inputs": tensors(OBSERVATIONS)}).raise_for_status()
    ask(server, "/v1/models/default:predict", {"instances": OBSERVATIONS}).raise_for_status()
    assert counted() == before + 2
