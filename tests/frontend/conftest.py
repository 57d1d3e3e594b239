"""What the front-end's tests share: a browser, a front-end, and a service that it asks."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from policy_server.access.keys import hash_key, new_key
from policy_server.access.records import KeyRecord, RoleName, keys_file, now
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.service import Service, open_service
from tests.support.browser import chromium
from tests.support.networks import linear_onnx
from tests.support.recurrent import LongShort
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish
from tests.support.visitor import Frontend, frontend

SCHEMA_OF_TWO = """observations:
  speed: {type: float, minimum: 0, maximum: 9}
  gear: {type: float, minimum: 0, maximum: 5}
parameters: {discrete: false}
"""

FIELDS = ("x", "y", "z")
SCHEMA_OF_THREE = "observations:\n" + "".join(
    f"  {name}: {{type: float, minimum: -9, maximum: 9}}\n" for name in FIELDS
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frontend]:
    with frontend(tmp_path_factory.mktemp("frontend") / "instance") as running:
        yield running


def service_of(server: Server) -> Service:
    return open_service(Client(server.url, Credentials(USER, PASSWORD)))


@pytest.fixture(scope="session")
def lpoc_service(lpoc_server: Server) -> Service:
    return service_of(lpoc_server)


@pytest.fixture(scope="session")
def tuple_service(tuple_server: Server) -> Service:
    return service_of(tuple_server)


@pytest.fixture(scope="session")
def thermostat_service(thermostat_server: Server) -> Service:
    return service_of(thermostat_server)


@pytest.fixture(scope="session")
def certain_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH with a policy that draws nothing."""
    folder = tmp_path_factory.mktemp("certain")
    (folder / "schema.yaml").write_text(SCHEMA_OF_TWO)
    (folder / "policy.onnx").write_bytes(linear_onnx(2, 2, output="output"))
    (folder / "model.yaml").write_text("reads: means\n")
    return publish(folder, folder / "instance")


@pytest.fixture(scope="session")
def keys_of_roles(certain_instance: Path) -> Mapping[str, str]:
    """Role -> a key with it, of the service that draws nothing."""
    roles: tuple[RoleName, ...] = ("predict", "manage")
    made = {role: new_key() for role in roles}
    with keys_file(certain_instance).changing() as keys:
        for role, (name, key) in made.items():
            keys[name] = KeyRecord(role, hash_key(key), role, now(), None)
    return {role: key for role, (_, key) in made.items()}


@pytest.fixture(scope="session")
def certain_service(certain_instance: Path, keys_of_roles: Mapping[str, str]) -> Iterator[Service]:
    """A policy that draws nothing; its server knows `keys_of_roles`."""
    with gunicorn(certain_instance) as server:
        yield service_of(server)


def served(folder: Path, network: bytes) -> Iterator[Server]:
    """A policy of the schema of three fields."""
    (folder / "schema.yaml").write_text(SCHEMA_OF_THREE)
    (folder / "policy.onnx").write_bytes(network)
    with gunicorn(publish(folder, folder / "instance")) as running:
        yield running


@pytest.fixture(scope="session")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A policy with a memory."""
    yield from served(tmp_path_factory.mktemp("recurrent"), LongShort().content())


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A policy of two actions without one."""
    yield from served(tmp_path_factory.mktemp("linear"), linear_onnx(3, 2))


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    """Two rows that the lpoc schema takes, and two that it does not."""
    lines = [
        "id,has_left_neighbour,has_up_neighbour,has_right_neighbour,has_down_neighbour,"
        "coordinates[0],coordinates[1],has_core,target",
        '3,true,true,true,true,3,2,true,"[6, 4]"',
        '99,true,true,true,true,3,2,true,"[6, 4]"',
        '4,yes,no,true,true,3,2,1,"[1, 1]"',
        '4,true,true,true,true,3,,true,"[1, 1]"',
    ]
    file = tmp_path / "observations.csv"
    file.write_text("\n".join(lines))
    return file
