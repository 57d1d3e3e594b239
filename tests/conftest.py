"""What the tests of several rooms share: published examples, and servers that serve them."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import model_server, slow
from tests.support.server import ROOT, Server, gunicorn, publish
from tests.support.slow import nothing_slow
from tests.support.warm import publish_warm

__all__ = ["nothing_slow"]

# Programs begin as fast as those of users: with compiled modules.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# How long one example takes, the machine decides and what else runs on it.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.hookimpl(trylast=True)  # the processes of xdist look at their machine before
def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch for slow tests where they are left out."""
    if session.config.option.markexpr == slow.NOT_SLOW:
        slow.install()


def pytest_report_header() -> str:
    """What stands for TensorFlow Serving: said in the output of every run."""
    real = "the real one, TENSORFLOW_MODEL_SERVER" if model_server.IS_REAL else "a stand-in"
    return f"tensorflow_model_server: {real} (docs/engines.md)"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where slow tests are left out, do not even import files that have nothing else."""
    left_out = config.option.markexpr == slow.NOT_SLOW and collection_path.suffix == ".py"
    return True if left_out and slow.imports_what_starts(collection_path) else None


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests, and begin with them."""
    slow.mark(items)
    items.sort(key=slow.order)


def published(example: str, factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which an example decides, published once for all processes of a run."""
    folder = ROOT / "examples" / example
    return shared(example, factory, lambda making: publish(folder, making / "instance"))


def shared(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], Path]) -> Path:
    """A BASE_PATH that is made once, in a folder of its own, for all processes of a run."""
    common = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    made = common / f"published-{name}"
    with (common / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(factory.mktemp(f"making-{name}")).rename(made)
    return Path(shutil.copytree(made, factory.mktemp(name) / "instance"))


@pytest.fixture(scope="session")
def published_lpoc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the lpoc example decides. Not to be written to."""
    return published("lpoc", tmp_path_factory)


@pytest.fixture(scope="session")
def published_tuple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the tuple example decides. Not to be written to."""
    return published("simple_stochastic_tuple", tmp_path_factory)


@pytest.fixture(scope="session")
def published_thermostat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which the continuous example decides. Not to be written to."""
    return published("thermostat", tmp_path_factory)


@pytest.fixture(scope="session")
def published_warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BASE_PATH in which a tiny policy decides. Not to be written to."""
    return shared("warm", tmp_path_factory, publish_warm)


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
