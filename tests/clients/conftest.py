"""Three services under gunicorn, their SDKs as the servers hand them out, and compiled."""

import io
import json
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from policy_server.contract.schema import ObservationSchema
from tests.clients.toolchains import TOOLCHAINS, Sdk, Toolchain, completed
from tests.conftest import shared
from tests.support.networks import linear_onnx
from tests.support.server import (
    KEY,
    PASSWORD,
    ROOT,
    USER,
    Server,
    free_port,
    gunicorn,
    publish,
    run_command,
)

SERVICES = {
    "lpoc": ("examples/lpoc", "published_lpoc"),
    "tuple": ("examples/simple_stochastic_tuple", "published_tuple"),
    "thermostat": ("examples/thermostat", "published_thermostat"),
    "names": ("tests/clients/names", "published_names"),
}
"""Service -> the folder of its schema, and the fixture of the BASE_PATH in which it decides."""

Step = dict[str, Any]
Results = list[dict[str, Any]]
Options = Mapping[str, Any]
"""Of a client: where its server is, and as whom it asks."""
NO_OTHERS: Mapping[str, Options] = {}
NO_VARIABLES: Mapping[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have all tests of a language run in one process, which compiles its SDKs once."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            given = getattr(item, "callspec", None)
            language = given.params.get("toolchain") if given is not None else None
            item.add_marker(pytest.mark.xdist_group(language or item.path.stem))


@dataclass(frozen=True)
class Service:
    """A served policy, and its SDKs."""

    name: str
    base_path: Path
    server: Server
    schema: ObservationSchema
    package: Package
    sdks: Path

    def sdk(self, language: str) -> Sdk:
        return Sdk(self.name, self.sdks / language, self.package)


@pytest.fixture(scope="session")
def published_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH whose policy tells observations apart that differ in anything."""
    folder = tmp_path_factory.mktemp("names")
    for name in ("schema.yaml", "preprocessor.py"):
        shutil.copyfile(ROOT / "tests" / "clients" / "names" / name, folder / name)
    network = linear_onnx(features=4, outputs=3 + 3 + 2 + 2 + 2 + 2, output="action_dist_inputs")
    (folder / "policy.onnx").write_bytes(network)
    return publish(folder, folder / "instance")


@pytest.fixture(scope="session")
def services(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Service]]:
    with ExitStack() as stack:
        made: dict[str, Service] = {}
        for name, (_, published) in SERVICES.items():
            folder = _with_sdks(name, request.getfixturevalue(published), tmp_path_factory)
            made[name] = start(name, folder, stack)
            unpack(made[name].server.get("clients").content, made[name].sdks)
        yield made


def _with_sdks(name: str, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a service, whose SDKs are made once for all processes of a run."""

    def make(folder: Path) -> Path:
        made = Path(shutil.copytree(published, folder / "instance"))
        make_sdks(name, made)
        return made

    return shared(f"clients-{name}", tmp_path_factory, make).parent


def copied(published: Path, name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for a service, with an `instance` in which a published example decides."""
    folder = tmp_path_factory.mktemp(f"clients-{name}")
    shutil.copytree(published, folder / "instance")
    return folder


def make_contract(name: str, base_path: Path, *options: str) -> str:
    """Give a service a title of its own; what the command printed."""
    schema = ROOT / SERVICES[name][0] / "schema.yaml"
    words = ["--title", f"The {name} policy", "--version", "2.1", *options]
    done = run_command("schema", schema, *words, base_path=base_path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make_sdks(name: str, base_path: Path) -> None:
    """Give a service a title of its own, and make its SDKs."""
    printed = make_contract(name, base_path)
    assert printed.count("  ok  ") == len(TOOLCHAINS), printed


def start(name: str, folder: Path, stack: ExitStack) -> Service:
    """Serve what is in the `instance` of a folder."""
    base_path = folder / "instance"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version)
    server = stack.enter_context(gunicorn(base_path))
    return Service(name, base_path, server, contract.schema, package, folder / "sdks")


def unpack(archive: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        opened.extractall(folder)


@pytest.fixture(scope="session")
def built() -> dict[type[Toolchain], Toolchain]:
    """What was compiled already: pytest forgets a parameter when it turns to another one."""
    return {}


@pytest.fixture(scope="session", params=TOOLCHAINS)
def toolchain(
    request: pytest.FixtureRequest,
    services: Mapping[str, Service],
    built: dict[type[Toolchain], Toolchain],
    tmp_path_factory: pytest.TempPathFactory,
) -> Toolchain:
    """A language in which the SDKs of all services, and their drivers, were compiled."""
    kind = TOOLCHAINS[request.param]
    if kind not in built:
        sdks = [service.sdk(kind.language) for service in services.values()]
        built[kind] = compiled(kind, sdks, tmp_path_factory)
    return built[kind]


def compiled(
    kind: type[Toolchain], sdks: list[Sdk], tmp_path_factory: pytest.TempPathFactory
) -> Toolchain:
    """A toolchain that has built these SDKs and their drivers."""
    made = kind(tmp_path_factory.mktemp(kind.__name__))
    begin = time.monotonic()
    made.build(sdks)
    print(f"{kind.__name__}: built in {time.monotonic() - begin:.1f} s")
    return made


@pytest.fixture(scope="session", params=SERVICES)
def service(request: pytest.FixtureRequest, services: Mapping[str, Service]) -> Service:
    return services[request.param]


class Drive(Protocol):
    """Has the driver of a language take steps, with the server of a service unless told another.

    Clients of other servers are given by their name, each like one of those of `clients_of`.
    """

    def __call__(
        self,
        service: Service,
        steps: list[Step],
        url: str | None = None,
        others: Mapping[str, Options] = NO_OTHERS,
    ) -> Results: ...


@pytest.fixture(scope="session")
def drive(toolchain: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Drive:
    def take(
        service: Service,
        steps: list[Step],
        url: str | None = None,
        others: Mapping[str, Options] = NO_OTHERS,
    ) -> Results:
        sdk, folder = service.sdk(toolchain.language), tmp_path_factory.mktemp("script")
        return take_steps(toolchain, sdk, url or service.server.url, steps, folder, others)

    return take


def take_steps(
    toolchain: Toolchain,
    sdk: Sdk,
    url: str,
    steps: list[Step],
    folder: Path,
    others: Mapping[str, Options] = NO_OTHERS,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> Results:
    """Have the driver of an SDK take steps, by a script in a folder; what came of each."""
    return steps_taken(toolchain, sdk, url, steps, folder, others, variables)[0]


def steps_taken(
    toolchain: Toolchain,
    sdk: Sdk,
    url: str,
    steps: list[Step],
    folder: Path,
    others: Mapping[str, Options] = NO_OTHERS,
    variables: Mapping[str, str] = NO_VARIABLES,
) -> tuple[Results, str]:
    """What came of each step, and all that was told beside."""
    script = folder / "script.json"
    asking = {each["client"] for each in steps}
    known = {**clients_of(url), **others}
    clients = {name: options for name, options in known.items() if name in asking}
    given = {"clients": clients, "steps": steps}
    script.write_text(json.dumps(given) + "\n", encoding="utf-8")
    command = [*toolchain.driver(sdk), script]
    done = completed(command, folder, {**toolchain.variables(), **variables})
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(steps)
    return results, done.stderr


def clients_of(url: str) -> dict[str, Options]:
    """The clients that steps name."""
    user = {"user": USER, "password": PASSWORD}
    return {
        "user": {"url": url, **user},
        "key": {"url": url, "key": KEY},
        "token": {"url": url, "token": KEY},
        "renewing": {"url": url, "tokens": ["one-that-has-expired", KEY]},
        "wrong": {"url": url, "user": USER, "password": "wrong"},
        "patient": {"url": url, **user, "retries": 30},
        "nowhere": {"url": f"http://127.0.0.1:{free_port()}/api", **user, "timeout": 5},
    }
