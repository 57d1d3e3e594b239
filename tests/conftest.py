"""What the tests of several rooms share: published examples, and servers that serve them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import ROOT, Server, gunicorn, publish


@pytest.fixture(scope="session")
def published_lpoc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the lpoc example decides. Not to be written to."""
    return publish(ROOT / "examples" / "lpoc", tmp_path_factory.mktemp("lpoc") / "instance")


@pytest.fixture(scope="session")
def published_tuple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the tuple example decides. Not to be written to."""
    folder = ROOT / "examples" / "simple_stochastic_tuple"
    return publish(folder, tmp_path_factory.mktemp("tuple") / "instance")


@pytest.fixture(scope="session")
def published_thermostat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the continuous example decides. Not to be written to."""
    folder = ROOT / "examples" / "thermostat"
    return publish(folder, tmp_path_factory.mktemp("thermostat") / "instance")


@pytest.fixture
def lpoc_instance(published_lpoc: Path, tmp_path: Path) -> Path:
    """A BASE_PATH of one's own in which the lpoc example decides."""
    return Path(shutil.copytree(published_lpoc, tmp_path / "instance"))


@pytest.fixture(scope="session")
def lpoc_server(published_lpoc: Path) -> Iterator[Server]:
    """A server of the lpoc example whose policy nobody replaces."""
    with gunicorn(published_lpoc) as server:
        yield server


@pytest.fixture(scope="session")
def tuple_server(published_tuple: Path) -> Iterator[Server]:
    """A server of the tuple example whose policy nobody replaces."""
    with gunicorn(published_tuple) as server:
        yield server


@pytest.fixture(scope="session")
def thermostat_server(published_thermostat: Path) -> Iterator[Server]:
    """A server of the continuous example whose policy nobody replaces."""
    with gunicorn(published_thermostat) as server:
        yield server
