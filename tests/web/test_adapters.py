"""Libraries that are not as the adapters know them: their plain behaviour, and a warning."""

import logging
import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from policy_server.errors import ConfigurationError
from policy_server.web.adapters import fallbacks, known
from policy_server.web.adapters.library import Library
from policy_server.web.patience import ConnectionLimits
from tests.support.house import House
from tests.support.raw_requests import BASIC, Connection, Request
from tests.support.server import KEY, ROOT, Server

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{begin}")
    for begin in ("Using .httpx. with", "jsonschema.(RefResolver|exceptions)")
]
"""What importing connexion warns of, which no other test does in its own process."""

LIBRARIES = {name: value for name, value in vars(known).items() if isinstance(value, Library)}
LIMITS = ConnectionLimits(head_lines=7)
CHOICES: dict[str, tuple[Callable[..., object], str, str]] = {
    "http": (
        lambda load: fallbacks.http_protocol(LIMITS, load),
        "uvicorn.protocols.http.httptools_impl",
        "LESS SAFE: it reads requests less strictly",
    ),
    "worker": (
        lambda load: fallbacks.worker_class(LIMITS, load),
        "uvicorn.server",
        "LESS SAFE to stop and start",
    ),
    "validators": (fallbacks.validators, "connexion.validators", "ONE CLIENT CAN HOLD UP ALL"),
}


def without(module: str) -> Callable[[str], object]:
    """Imports modules as they are, and of this one an empty one."""
    return lambda name: SimpleNamespace() if name == module else import_module(name)


def gone(module: str) -> Callable[[str], object]:
    """Imports modules, less this one."""

    def load(name: str) -> object:
        if name == module:
            raise ImportError(name)
        return import_module(name)

    return load


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_libraries_that_are_pinned_are_those_that_are_known(name: str) -> None:
    library = LIBRARIES[name]
    assert library.differences() == []
    assert library.attributes
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = [re.fullmatch(r"([\w-]+)(?:\[.*\])?==(.+)", each) for each in project["dependencies"]]
    versions = {pin[1]: pin[2] for pin in pins if pin}
    assert versions[library.name].startswith(f"{library.release}.")


@pytest.mark.parametrize("lacking", [without, gone])
@pytest.mark.parametrize("name", LIBRARIES)
def test_each_attribute_that_is_relied_on_is_looked_for(
    name: str, lacking: Callable[[str], Callable[[str], object]]
) -> None:
    library = LIBRARIES[name]
    for module, attributes in library.attributes.items():
        missing = [f"{module}.{attribute} is missing" for attribute in attributes]
        assert library.differences(lacking(module)) == missing


def test_another_release_is_another_library() -> None:
    assert Library("uvicorn", "0.54", {}).differences() == []
    for release in ("0.5", "0.53", "1"):
        (difference,) = Library("uvicorn", release, {}).differences()
        assert difference.endswith(f"not {release}")


def test_an_attribute_of_instances_is_one_that_a_method_gives() -> None:
    class Base:
        def __init__(self) -> None:
            self.given = self.nothing = None

    class Derived(Base):
        member = 1

        def reads(self) -> object:
            return self.only_read  # type: ignore[attr-defined]

    names = ("Derived.given", "Derived.member", "Derived.reads", "Derived.only_read", "Gone.x")
    library = Library("uvicorn", "0.54", {"module": names})
    missing = library.missing(lambda _: SimpleNamespace(Derived=Derived))
    assert missing == ["module.Derived.only_read is missing", "module.Gone.x is missing"]


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_as_known_is_adapted_and_nothing_is_said(
    choice: str, caplog: pytest.LogCaptureFixture
) -> None:
    choose, *_ = CHOICES[choice]
    chosen = choose(import_module)
    assert chosen is not None
    assert chosen != fallbacks.PLAIN_HTTP
    assert caplog.records == []


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_not_as_known_is_plain_and_the_log_says_what_that_costs(
    choice: str, caplog: pytest.LogCaptureFixture
) -> None:
    choose, module, cost = CHOICES[choice]
    with caplog.at_level(logging.WARNING):
        chosen = choose(without(module))
    assert chosen != choose(import_module)
    (record,) = caplog.records
    assert f"{module}." in record.getMessage()
    assert cost in record.getMessage()


def test_a_plain_worker_reads_as_strictly_as_ours() -> None:
    worker = fallbacks.worker_class(LIMITS, without("uvicorn.server"))
    assert isinstance(worker, type)
    assert worker.__mro__[1].__name__ == "UvicornWorker"
    assert worker.CONFIG_KWARGS["http"].limits == LIMITS


def test_without_routing_there_is_no_server() -> None:
    fallbacks.check_routing()
    with pytest.raises(ConfigurationError, match="who may do what: install connexion"):
        fallbacks.check_routing(without("connexion.middleware.abstract"))
    elsewhere = SimpleNamespace(ROUTING_CONTEXT="elsewhere")
    with pytest.raises(ConfigurationError, match="it notes operations under elsewhere"):
        fallbacks.check_routing(
            lambda name: elsewhere if name.endswith(".abstract") else import_module(name)
        )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was written for other releases of all three libraries."""
    house = House(tmp_path_factory.mktemp("plain"))
    path = house.root / "policy_server/web/adapters/known.py"
    text = path.read_text(encoding="utf-8")
    changed = re.sub(r'^    "\d+\.\d+",$', '    "0.0",', text, flags=re.MULTILINE)
    assert text.count('"0.0"') == 0
    assert changed.count('"0.0"') == len(LIBRARIES) - 1  # HTTPTOOLS is on one line
    path.write_text(changed, encoding="utf-8")
    with house.serve(POLICY_SERVER_FAST_PATH="off", POLICY_SERVER_BODY_MEGABYTES="1") as server:
        yield server


def test_plain_behaviour_decides_and_refuses(plain: Server) -> None:
    assert plain.post("predict_deterministic", {"warmth": 20}).json()["action"] in (0, 1)
    batch = plain.post("predict_batch?deterministic=true", {"observations": [{"warmth": 20}] * 3})
    assert len(batch.json()["predictions"]) == 3
    assert plain.post("predict_raw", {"obs": [20]}).ok
    assert plain.post("predict", {"warmth": 99}).status_code == 400
    assert plain.post("predict", {"warmth": 20}, auth=None).status_code == 401
    key = {"X-API-Key": KEY}
    assert plain.session.get(f"{plain.url}/versions", headers=key, timeout=9).status_code == 403
    assert plain.post("predict", {"warmth": 1, "x": "x" * 1_000_000}).status_code == 413
    uploaded = plain.upload("outputmapper", "output_mapper_file", b"0: cold\n1: warm\n")
    assert uploaded.json()["state"] == "active"


@pytest.mark.parametrize(
    "body", [b'{"warmth": NaN}', b'{"warmth": 1e999}', b"{", b'{"warmth": "1"}']
)
def test_plain_validation_lets_nothing_pass_that_the_contract_refuses(
    plain: Server, body: bytes
) -> None:
    connection = Connection(plain.port)
    headers = ((b"Content-Type", b"application/json"), (b"Authorization", BASIC))
    try:
        assert connection.send(Request(b"/api/predict", body, headers)).status == 400
    finally:
        connection.close()


def test_the_log_of_a_plain_server_says_so(plain: Server) -> None:
    log = Path(plain.log).read_text(encoding="utf-8")
    for _, _, cost in CHOICES.values():
        assert cost in log
