"""With and without the fast path every request gets the same answer; with it, at less cost."""

import base64
import contextlib
import json
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from onnx import helper

from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.serving.memory_tokens import HEAD, Episode, MemoryTokens
from tests.support.contracts import read_contracts
from tests.support.raw_requests import (
    BATCHES,
    DRAWS,
    JSON,
    KEY_HEADER,
    OPERATIONS,
    USER_HEADER,
    Connection,
    Ground,
    Request,
    Response,
    requests,
)
from tests.support.server import ROOT, Server, gunicorn, publish, run_command

EXAMPLES = ROOT / "examples"
VALID_SHARE = 0.12
TICK_REQUESTS = 200
LEAST_TICKS = 5
CPU_RATIO = 0.6
MAX_BATCH = 10_000
BASIC = re.compile(rb"basic ", re.IGNORECASE)
PLAIN_SCHEMA = """\
observations:
  speed: {type: float, minimum: -1.5, maximum: 1000, exclusive_maximum: true}
  far: {type: float, required: false}
  gear: {type: int, enum: [-1, 0, 3, 9007199254740993]}
  mood: {type: str, enum: [calm, "größe", "a\\tb", '"', ""], default: calm, required: false}
  grid:
    type: list
    min_items: 2
    max_items: 2
    items: {type: "List[int]", min_items: 2, max_items: 2, minimum: -3}
  on: {type: bool}
  depth: {type: "List[float]", shape: [2], maximum: 0.1, encoding: base64, required: false}
  camera: {type: "List[int]", shape: [5, 6], minimum: 0, maximum: 200, encoding: png}
"""
FLOAT = onnx.TensorProto.FLOAT
PLAIN_WIDTH = 1 + 1 + 1 + 5 + 4 + 1 + 2 + 5 * 6
FAILING = """\
def preprocess(observation):
    far = observation.get("far", 0.0)
    if far > 100:
        raise ValueError(f"too far: {far}")
    if far < -1e30:
        return [far * 1e30] * 45
    lit = sum(map(sum, observation["camera"])) / 6000
    return [1e38 if far < -100 else observation["speed"] * lit] * 45
"""
"""On observations as the build draws them it does not fail."""

SAMPLED = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)


@dataclass
class Pair:
    """Two servers of one policy, with and without the fast path.

    Attributes:
        statuses: How often each status was answered.
    """

    fast: Server
    slow: Server
    ground: Ground
    connections: list[Connection]
    statuses: Counter[int] = field(default_factory=Counter)

    def compare(self, request: Request, *, again: bool = True) -> Response:
        """Send a request to both and hold the answers together.

        The first server gets it twice, and the same head with another body between: heads that it
        has accepted take a short cut, and what follows them may be anything.
        """
        fast, slow = self.connections
        first, second = fast.send(request), slow.send(request)
        expected = comparable(second, request)
        assert comparable(first, request) == expected, request
        if again:
            valid = self.ground.valid_body(request)
            if valid is not None:
                fast.send(replace(request, body=valid))
            assert comparable(fast.send(request), request) == expected, request
        self.statuses[first.status] += 1
        return first


def comparable(response: Response, request: Request) -> tuple[int, list[Any], object]:
    """What of an answer must be the same with the fast path and without."""
    if response.status in (401, 429) and any(BASIC.match(value) for _, value in request.headers):
        return 401, [], ""  # each server counts wrong passwords for itself
    given = [value for name, value in request.headers if name.lower() == b"x-request-id"]
    name, body = response.header(b"x-request-id"), response.body
    headers = [header for header in response.headers if header[0] != b"date"]
    if name not in given:  # the server made a name of its own
        assert len(name) == 32
        headers = [(key, b"" if key == b"x-request-id" else value) for key, value in headers]
        body = body.replace(name, b"a name of its own")
    if response.status != 200:
        return response.status, headers, body
    operation = operation_of(request)
    if operation.startswith("step"):
        body = json.dumps(without_time(json.loads(body))).encode()
    if not drawn_by_chance(request):
        return response.status, headers, body
    headers = [header for header in headers if header[0] != b"content-length"]
    return response.status, headers, shape(json.loads(body))


def operation_of(request: Request) -> str:
    return urllib.parse.unquote(request.path.decode()).rpartition("/")[2]


def drawn_by_chance(request: Request) -> bool:
    query = urllib.parse.parse_qs(request.query.decode("latin-1").removeprefix("?"))
    return operation_of(request) in DRAWS and "seed" not in query


def without_time(value: Any) -> object:
    """An answer whose memories do not say when their episode began, and are not signed."""
    if isinstance(value, dict):
        return {
            name: told(item) if name == "memory" else without_time(item)
            for name, item in value.items()
        }
    return [without_time(item) for item in value] if isinstance(value, list) else value


def told(memory: str) -> list[object]:
    token = base64.urlsafe_b64decode(memory + "=" * (-len(memory) % 4))
    _, format_, length, contract, nonce, steps, _, name = HEAD.unpack_from(token)
    return [format_, length, contract.hex(), nonce.hex(), steps, name, token[HEAD.size :].hex()]


def memories_of(base_path: Path) -> list[str | int | None]:
    """Memories that a server goes on with, and others: forged, expired, of versions and contracts
    that it has not."""
    key, digest = (
        (base_path / "memory_key").read_bytes().strip(),
        read_contracts(base_path).served().digest,
    )
    active = base_path / "active"
    version = active.read_text().strip() if active.exists() else "1-none"
    tokens = MemoryTokens(key, digest, 60)
    episode = Episode(version, 3, tokens.now(), b"0123456789abcdef", b"")
    sound = tokens.write(episode)
    others = [
        MemoryTokens(b"another key", digest, 60).write(episode),
        MemoryTokens(key, digest[::-1], 60).write(episode),
        tokens.write(episode._replace(began=1)),
        tokens.write(episode._replace(version="9-gone")),
        tokens.write(episode._replace(state=b"four")),
    ]
    damaged = [
        sound[:-1],
        sound[:90],
        f"{sound[:60]}{'A' if sound[60] != 'A' else 'B'}{sound[61:]}",
    ]
    return [sound, None, *others, *damaged, f"{sound}=", f"{sound}AAAA", "", "ä", 1]


def shape(value: object) -> object:
    """Names and types: what is left of an answer that chance has chosen."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value)


@contextlib.contextmanager
def pair_of(base_path: Path, ground: Ground, isolation: str = "process") -> Iterator[Pair]:
    options = {"POLICY_SERVER_PREPROCESSOR_ISOLATION": isolation}
    # connexion lists methods and unknown parameters in the order of their hashes.
    options["PYTHONHASHSEED"] = "1"
    with (
        gunicorn(base_path, 1, POLICY_SERVER_FAST_PATH="on", **options) as fast,
        gunicorn(base_path, 1, POLICY_SERVER_FAST_PATH="off", **options) as slow,
    ):
        connections = [Connection(fast.port), Connection(slow.port)]
        ground = replace(ground, memories=memories_of(base_path))
        try:
            yield Pair(fast, slow, ground, connections)
        finally:
            for connection in connections:
                connection.close()


def ground_of(schema: str, width: int) -> Ground:
    observations = random_observations(read_schema(schema), 40, seed=3)
    vectors = np.random.default_rng(4).standard_normal((10, width)).round(3).tolist()
    return Ground(observations, vectors)


def example_ground(name: str, width: int) -> Ground:
    return ground_of((EXAMPLES / name / "schema.yaml").read_text(), width)


def publish_network(folder: Path, preprocessor: str) -> Path:
    """Publish a small network, with a preprocessor or without; returns its BASE_PATH."""
    policy = folder / "policy"
    policy.mkdir()
    (policy / "schema.yaml").write_text(PLAIN_SCHEMA, encoding="utf-8")
    if preprocessor:
        (policy / "preprocessor.py").write_text(preprocessor)
    weights = np.random.default_rng(5).standard_normal((PLAIN_WIDTH, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "weights"], ["logits"])],
        "network",
        [helper.make_tensor_value_info("input", FLOAT, ["batch", PLAIN_WIDTH])],
        [helper.make_tensor_value_info("logits", FLOAT, ["batch", 3])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), policy / "model.onnx")
    return publish(policy, folder / "instance")


@pytest.fixture(scope="module")
def lpoc(published_lpoc: Path) -> Iterator[Pair]:
    with pair_of(published_lpoc, example_ground("lpoc", 39)) as pair:
        yield pair


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    base_path = publish_network(tmp_path_factory.mktemp("plain"), "")
    with pair_of(base_path, ground_of(PLAIN_SCHEMA, PLAIN_WIDTH)) as pair:
        yield pair


def check_alike(pair: Pair, count: int, *expected: int) -> None:
    """Hold both servers together over so many requests, some answered in each of these ways."""

    @settings(SAMPLED, max_examples=count)
    @given(requests(pair.ground))
    def answers_are_alike(request: Request) -> None:
        pair.compare(request)

    answers_are_alike()
    assert {400, 401, 415, *expected} <= set(pair.statuses)


def test_lpoc(lpoc: Pair) -> None:
    check_alike(lpoc, 300, 405)
    assert lpoc.statuses[200] > VALID_SHARE * lpoc.statuses.total()


def test_a_policy_without_a_preprocessor(plain: Pair) -> None:
    check_alike(plain, 250)
    assert plain.statuses[200] > VALID_SHARE * plain.statuses.total()


def test_every_memory_that_is_refused(lpoc: Pair) -> None:
    observation = json.dumps(lpoc.ground.observations[0])
    found = []
    for memory in map(json.dumps, lpoc.ground.memories):
        step = f'{{"observation": {observation}, "memory": {memory}}}'
        alone = lpoc.compare(Request(b"/api/step", step.encode()))
        batch = f'{{"steps": [{{"observation": {observation}}}, {step}]}}'
        together = lpoc.compare(Request(b"/api/step_batch", batch.encode()))
        assert alone.status == together.status
        found.append(alone.status)
        if alone.status != 200:
            (fault,) = json.loads(together.body)["errors"]
            assert fault["pointer"] == "/steps/1/memory"
    assert found[:8] == [200, 200, 400, 409, 410, 410, 409, 400]
    assert set(found[8:]) == {400}


def test_a_tuple_policy(published_tuple: Path) -> None:
    with pair_of(published_tuple, example_ground("simple_stochastic_tuple", 7)) as pair:
        check_alike(pair, 100, 200)


def test_a_continuous_policy(published_thermostat: Path) -> None:
    with pair_of(published_thermostat, example_ground("thermostat", 6), "none") as pair:
        check_alike(pair, 100, 200)


def test_a_policy_that_fails_on_some_observations(tmp_path: Path) -> None:
    ground = ground_of(PLAIN_SCHEMA, PLAIN_WIDTH)
    whole = ground.observations[0]
    fails = [{**whole, "far": far} for far in (101.0, -101.0, -1e31)]
    often = [*ground.observations[:2], *fails, *fails[:1] * 3]
    ground = Ground(often, [*ground.vectors, [3e38] * PLAIN_WIDTH])
    with pair_of(publish_network(tmp_path, FAILING), ground) as pair:
        check_alike(pair, 300, 200, 500)
        for observation, status in zip(fails, (500, 400, 400), strict=True):
            for credentials in (USER_HEADER, KEY_HEADER):
                body = json.dumps(observation).encode()
                answer = pair.compare(Request(b"/api/predict", body, (JSON, credentials)))
                assert answer.status == status
                says_why = b"ValueError: too far" in answer.body
                assert says_why is (status == 500 and credentials is USER_HEADER)


def test_a_server_without_a_policy(tmp_path: Path) -> None:
    base_path = tmp_path / "instance"
    schema = EXAMPLES / "lpoc" / "schema.yaml"
    done = run_command("schema", schema, "--noclients", base_path=base_path)
    assert done.returncode == 0, done.stderr
    with pair_of(base_path, example_ground("lpoc", 39)) as pair:
        check_alike(pair, 80, 503)
        assert not {500, 501} & set(pair.statuses)


@pytest.mark.parametrize(
    "body",
    [b'{"\\ud800": 1}', b'{"id": "\\udfff"}', b'{"id": "\xe4"}', b'{"\xe4": 1}', b'"\\ud800"'],
)
def test_text_that_is_no_unicode_is_explained(lpoc: Pair, body: bytes) -> None:
    answer = lpoc.compare(Request(b"/api/predict", body))
    assert answer.status == 400
    assert answer.header(b"content-type") == b"application/problem+json"


def test_batches_have_one_limit(plain: Pair) -> None:
    one = json.dumps(plain.ground.observations[1]).encode()
    for size, status in ((MAX_BATCH, 200), (MAX_BATCH + 1, 400)):
        body = b'{"observations": [%s]}' % b",".join([one] * size)
        answer = plain.compare(Request(b"/api/predict_batch", body, query=b"?seed=1"))
        assert answer.status == status


@pytest.mark.parametrize("length", [b"16000001", b"9" * 18])
def test_a_body_that_is_announced_as_too_large(plain: Pair, length: bytes) -> None:
    headers = (JSON, USER_HEADER, (b"Content-Length", length))
    for connection in plain.connections:
        connection.close()  # the rest of the body never comes
    assert plain.compare(Request(b"/api/predict", b"", headers), again=False).status == 413
    for connection in plain.connections:
        connection.close()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_is_in_order_costs_the_worker_less(lpoc: Pair, operation: str) -> None:
    observation = json.dumps(lpoc.ground.observations[0]).encode()
    body = {
        **dict.fromkeys(BATCHES, b'{"observations": [%s]}' % observation),
        "step": b'{"observation": %s}' % observation,
        "step_batch": b'{"steps": [{"observation": %s}]}' % observation,
        "predict_raw": json.dumps({"obs": lpoc.ground.vectors[0]}).encode(),
    }.get(operation, observation)
    request = Request(f"/api/{operation}".encode(), body)
    assert_costs_less(lpoc, request)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    "media_type",
    [
        b"application/json; charset=UTF-8",
        b"APPLICATION/JSON",
        b'Application/Json ;Charset="utf-8"',
    ],
)
def test_other_spellings_of_a_media_type_and_chunks_cost_no_more(
    lpoc: Pair, media_type: bytes, chunked: bool
) -> None:
    """As HTTP libraries send them: the Java SDK, for one."""
    body = json.dumps(lpoc.ground.observations[0]).encode()
    headers = ((b"Content-Type", media_type), USER_HEADER)
    request = Request(b"/api/predict", body, headers, chunked=chunked)
    assert_costs_less(lpoc, request)


def assert_costs_less(lpoc: Pair, request: Request) -> None:
    """The fast path answers alike, for a fraction of the worker's time."""
    assert lpoc.compare(request).status == 200
    fast, slow = (
        ticks_of_worker(server, connection, request)
        for server, connection in zip((lpoc.fast, lpoc.slow), lpoc.connections, strict=True)
    )
    assert slow > LEAST_TICKS
    assert fast < CPU_RATIO * slow


def ticks_of_worker(server: Server, connection: Connection, request: Request) -> int:
    """User time of the one worker over many requests, in ticks of the clock."""
    master = server.process.pid
    (worker,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    before = user_ticks(worker)
    for _ in range(TICK_REQUESTS):
        assert connection.send(request).status == 200
    return user_ticks(worker) - before


def user_ticks(pid: str) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
