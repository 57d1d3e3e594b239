"""A call of the SDKs for Java and Scala against one of an HTTP client by itself.

Run by `make scale`; `-s` prints the figures.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.conftest import copied, make_contract, unpack
from tests.clients.toolchains import SHORT_LIVED, Java, Scala, Sdk, Toolchain, run
from tests.support.server import PASSWORD, USER, Server, gunicorn, run_command

WARM, CALLS = 5_000, 5_000
"""Calls until the virtual machine has compiled what it runs, and calls that count."""
MOST_OVERHEAD = 1.3


class JavaOverhead(Java):
    source = "Overhead.java"


class ScalaOverhead(Scala):
    source = "Overhead.scala"


@pytest.fixture(scope="module")
def served(
    published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path, Package]]:
    folder = copied(published_lpoc, "jvm", tmp_path_factory)
    base_path = folder / "instance"
    make_contract("lpoc", base_path, "--noclients")
    made = run_command("clients", "--language", "java,scala", base_path=base_path)
    assert made.returncode == 0, made.stderr
    contract = ContractFile.read(base_path).resolve()
    with gunicorn(base_path) as server:
        for language in ("java", "scala"):
            unpack(server.get(f"clients/{language}").content, folder)
        yield server, folder, Package.of(contract.title, contract.version)


@pytest.mark.parametrize("kind", [JavaOverhead, ScalaOverhead])
def test_a_call_takes_little_more_than_one_of_http(
    kind: type[Toolchain], served: tuple[Server, Path, Package], tmp_path: Path
) -> None:
    server, folder, package = served
    sdk = Sdk("lpoc", folder / kind.language, package)
    toolchain = kind(tmp_path)
    toolchain.build([sdk])
    # Measured as programs run that last: with the compiler that optimises.
    command = [each for each in toolchain.driver(sdk) if each not in SHORT_LIVED]
    given = [server.url, USER, PASSWORD, str(sdk.folder / "example.json"), str(WARM), str(CALLS)]
    raw, ours = map(float, run([*command, *given], sdk.folder).split())
    print(f"\na call in {kind.language}: {ours / raw:.2f} times HTTP, {raw:.0f} us")
    assert ours / raw <= MOST_OVERHEAD
