"""Which tests are slow: those that start a process, such as a server or a build, or TensorFlow."""

import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

STARTS = (
    "benchmarks.metrics",
    "benchmarks.processes",
    "benchmarks.rounds",
    "benchmarks.wrk",
    "examples.distributions",
    "examples.evaluate",
    "examples.lpoc.train",
    "examples.quiet_tensorflow",
    "examples.simple_stochastic_tuple.train",
    "examples.thermostat.train",
    "playwright",
    "subprocess",
    "tensorflow",
    "policy_server.proving.build",
    "policy_server.sandbox.preprocessor_process",
    "policy_server.sandbox.process",
    "policy_server.serving.copying",
    "policy_server.serving.publication",
    "tests.access.openid_provider",
    "tests.clients",
    "tests.deploy",
    "tests.proving.conftest",
    "tests.sandbox.conftest",
    "tests.reliability",
    "tests.serving.conftest",
    "tests.serving.deciders",
    "tests.support.browser",
    "tests.support.churn",
    "tests.support.counterparts",
    "tests.support.hostile_saved_models",
    "tests.support.helm",
    "tests.support.house",
    "tests.support.kserve",
    "tests.support.machines",
    "tests.support.object_storage",
    "tests.support.prometheus",
    "tests.support.saved_models",
    "tests.support.server",
    "tests.support.triton",
    "tests.support.visitor",
)
"""A file that imports one of these is slow, and so is a test with a fixture of an example."""
LONGEST = (
    "tests/web/test_schemathesis.py",
    "tests/serving/test_engines.py",
    "tests/web/test_fast_path.py",
    "tests/proving/test_trial.py",
    "tests/web/test_connection_limits.py",
    "tests/clients/test_suite.py",
    "tests/clients/test_swagger_codegen.py",
    "tests/clients/test_csharp.py",
    "tests/serving/test_live.py",
    "tests/frameworks/test_frameworks.py",
    "tests/store/test_object_storage.py",
    "tests/web/test_policy_upload.py",
    "tests/frontend/test_visitors.py",
    "tests/serving/test_tensorflow_serving.py",
    "tests/web/test_hostile_uploads.py",
    "tests/web/test_policies.py",
    "tests/serving/test_publication.py",
    "tests/web/test_credentials.py",
    "tests/web/test_builds.py",
    "tests/web/test_versions.py",
    "tests/web/test_access.py",
    "tests/test_generate.py",
    "tests/frontend/test_look.py",
    "tests/test_app.py",
    "tests/frontend/test_faults.py",
    "tests/web/test_hostile_code.py",
    "tests/web/test_protocol.py",
    "tests/web/test_long_observations.py",
    "tests/test_readme.py",
    "tests/docs/test_commands.py",
    "tests/frontend/test_newcomer.py",
)
"""Files that take the longest, the longest first."""
IMPORT = re.compile(r"^\s*(?:from|import) ([\w.]+)", re.MULTILINE)
FIXTURE = re.compile(r"published_\w+|browser|front|(\w+_)?(service|server)")
NOT_SLOW = "not slow"

_started: list[str] = []


@cache
def imports_what_starts(path: Path) -> bool:
    names = IMPORT.findall(path.read_text(encoding="utf-8"))
    return any(f"{name}.".startswith(f"{start}.") for name in names for start in STARTS)


def mark(items: Iterable[pytest.Item]) -> None:
    """Mark the slow ones of all tests."""
    for item in items:
        fixtures = list(getattr(item, "fixturenames", ()))
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            fixtures += map(str, item.callspec.params.values())  # which may be taken by name
        if imports_what_starts(item.path) or any(map(FIXTURE.fullmatch, fixtures)):
            item.add_marker("slow")


def order(item: pytest.Item) -> int:
    """When to begin with a test, so that in the end no process of several has a long one left."""
    place = item.path.relative_to(item.config.rootpath).as_posix()
    if place in LONGEST:
        return LONGEST.index(place)
    return len(LONGEST) + (item.get_closest_marker("slow") is None)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note what starts a process, or TensorFlow; an audit hook."""
    if event == "subprocess.Popen" or (event == "import" and arguments[0] == "tensorflow"):
        _started.append(f"{event} {arguments[0]}")


@pytest.fixture(autouse=True)
def nothing_slow(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that is not marked slow fails if it starts anything, and the first if a file has."""
    yield
    started = list(_started)  # its fixtures, too
    _started.clear()
    if request.config.option.markexpr == NOT_SLOW:
        assert started == [], "this test is slow: see tests/support/slow.py"


def install() -> None:
    """Watch from now on."""
    sys.addaudithook(watch)
