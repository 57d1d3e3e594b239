"""The SDK for Go: it compiles with Debian's Go, decides as the server does, and says why not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import WHO, CommonTests, Programs, unpacked
from tests.clients.toolchains import DRIVERS, run
from tests.support.kept import CACHE
from tests.support.server import gunicorn

VARIABLES = {"GOCACHE": str(CACHE / "go"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
"""Of the compiler: what it has compiled once stays, outside of the checkout."""


@pytest.fixture(scope="module")
def programs(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made, compiled = (
        unpacked("go", published_lpoc, tmp_path_factory),
        tmp_path_factory.mktemp("go"),
    )
    base_path, folder = made / "instance", made / "go"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version).dashed
    driver = (DRIVERS / "driver.go.txt").read_text("utf-8").replace("PACKAGE", package)
    (folder / "driver").mkdir(exist_ok=True)
    (folder / "driver" / "main.go").write_text(driver, "utf-8")
    run(["go", "vet", "./..."], folder, VARIABLES)
    run(["go", "build", "-o", f"{compiled}/", "./example", "./driver"], folder, VARIABLES)
    with gunicorn(base_path) as server:
        yield Programs(folder, [compiled / "example"], [compiled / "driver"], server)


class TestCommon(CommonTests):
    language = "go"
    redirected = "no decision: "
    says_version = True


def test_it_is_formatted_where_it_is_ours(programs: Programs) -> None:
    assert run(["gofmt", "-l", "example", "connect.go"], programs.folder) == ""


def test_it_decides_as_the_server_does(programs: Programs) -> None:
    expected = programs.server.post("predict_deterministic", programs.observation()).json()
    observation = json.dumps(programs.observation())
    variables = {"POLICY_URL": programs.server.url, **WHO}
    printed = run([*programs.in_code, observation], programs.folder, variables)
    assert printed == f"{expected['action']} {expected['meaning']}\n"


def test_a_field_that_there_is_not_is_refused_before_it_is_sent(
    programs: Programs, tmp_path: Path
) -> None:
    refusal = programs.refusal(tmp_path, {**programs.observation(), "misspelt": 1})
    assert refusal == 'example.json is no observation: json: unknown field "misspelt"\n'
