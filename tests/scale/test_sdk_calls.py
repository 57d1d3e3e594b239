"""A call of each SDK against one of its language's own HTTP client, for one row and for many.

Run by `make scale`; `-s` prints the figures.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.conftest import copied, make_contract, unpack
from tests.clients.toolchains import (
    SHORT_LIVED,
    Java,
    Python,
    R,
    Scala,
    Sdk,
    Toolchain,
    TypeScript,
    run,
)
from tests.support.server import PASSWORD, USER, Server, gunicorn, run_command

HALF_AN_HOUR = 1_800.0
ROWS = 10_000
MANY, FEW = (5_000, 5_000), (200, 1_000)
"""Calls until a virtual machine has compiled what it runs, and calls that count; without one."""
MOST_OF_A_BATCH = 1.5


class PythonOverhead(Python):
    source = "overhead.py.txt"


class JavaOverhead(Java):
    source = "Overhead.java"


class ScalaOverhead(Scala):
    source = "Overhead.scala"


class ROverhead(R):
    source = "overhead.R"


class TypeScriptOverhead(TypeScript):
    source = "overhead.ts"


OVERHEADS = {
    PythonOverhead: (1.3, FEW),
    JavaOverhead: (1.3, MANY),
    ScalaOverhead: (1.3, MANY),
    ROverhead: (1.8, FEW),
    TypeScriptOverhead: (1.3, MANY),
}
"""How many times as long a call may take, and how many are made."""


@pytest.fixture(scope="module")
def served(
    published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path, Package]]:
    folder = copied(published_lpoc, "calls", tmp_path_factory)
    base_path = folder / "instance"
    make_contract("lpoc", base_path, "--noclients")
    made = run_command("clients", base_path=base_path)
    assert made.returncode == 0, made.stderr
    contract = ContractFile.read(base_path).resolve()
    with gunicorn(base_path) as server:
        unpack(server.get("clients").content, folder)
        yield server, folder, Package.of(contract.title, contract.version)


@pytest.fixture(scope="module", params=OVERHEADS, ids=lambda kind: kind.language)
def driver(
    request: pytest.FixtureRequest,
    served: tuple[Server, Path, Package],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Toolchain, Sdk]:
    kind: type[Toolchain] = request.param
    _, folder, package = served
    sdk = Sdk("lpoc", folder / kind.language, package)
    toolchain = kind(tmp_path_factory.mktemp(kind.language))
    toolchain.build([sdk])
    return toolchain, sdk


def medians(
    server: Server, driver: tuple[Toolchain, Sdk], warm: int, calls: int, rows: int
) -> tuple[float, float]:
    """Microseconds of a call by HTTP alone, and of one by the SDK."""
    toolchain, sdk = driver
    # Measured as programs run that last: with the compiler that optimises.
    command = [each for each in toolchain.driver(sdk) if each not in SHORT_LIVED]
    given = [server.url, USER, PASSWORD, str(sdk.folder / "example.json")]
    given += map(str, (warm, calls, rows))
    variables = toolchain.variables()
    raw, ours = map(float, run([*command, *given], sdk.folder, variables, HALF_AN_HOUR).split())
    times = ours / raw
    print(
        f"\n{toolchain.language}, rows: {rows}: {times:.2f} times HTTP, which takes {raw:,.0f} us"
    )
    return raw, ours


def test_a_call_takes_little_more_than_one_of_http(
    served: tuple[Server, Path, Package], driver: tuple[Toolchain, Sdk]
) -> None:
    most, (warm, calls) = OVERHEADS[type(driver[0])]
    raw, ours = medians(served[0], driver, warm, calls, 1)
    assert ours <= most * raw


def test_a_batch_takes_not_much_more_than_one_of_http(
    served: tuple[Server, Path, Package], driver: tuple[Toolchain, Sdk]
) -> None:
    raw, ours = medians(served[0], driver, 20, 21, ROWS)
    assert ours <= MOST_OF_A_BATCH * raw
