"""The SDK for Go: it compiles with Debian's Go, decides as the server does, and says why not."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess, run

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.toolchains import DRIVERS, MINUTE
from tests.clients.toolchains import run as run_well
from tests.conftest import shared
from tests.support.kept import CACHE
from tests.support.server import KEY, PASSWORD, USER, Server, gunicorn, run_command

VARIABLES = {"GOCACHE": str(CACHE / "go"), "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
"""Of the compiler: what it has compiled once stays, outside of the checkout."""
WHO = {"POLICY_USER": USER, "POLICY_PASSWORD": PASSWORD}


@dataclass(frozen=True)
class Example:
    """The package's example and a driver of ours, compiled; and a server that they ask."""

    programs: Path
    folder: Path
    server: Server

    def run(self, folder: Path, **who: str) -> CompletedProcess[str]:
        """Have the example ask for the decision on the `example.json` of a folder."""
        variables = {"POLICY_URL": self.server.url, **who}
        return run(
            [self.programs / "example"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            timeout=MINUTE,
            check=False,
        )


@pytest.fixture(scope="module")
def example(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    def make(folder: Path) -> Path:
        base_path = Path(shutil.copytree(published_lpoc, folder / "instance"))
        done = run_command("clients", "--language", "go", base_path=base_path)
        assert "  ok      go\n" in done.stdout, done.stderr
        (archive,) = base_path.glob("clients/*/*/go.zip")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        return folder

    made, programs = shared("clients-go", tmp_path_factory, make), tmp_path_factory.mktemp("go")
    base_path, folder = made / "instance", made / "go"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version).dashed
    driver = (DRIVERS / "driver.go.txt").read_text("utf-8").replace("PACKAGE", package)
    (folder / "driver").mkdir(exist_ok=True)
    (folder / "driver" / "main.go").write_text(driver, "utf-8")
    run_well(["go", "vet", "./..."], folder, VARIABLES)
    run_well(["go", "build", "-o", f"{programs}/", "./example", "./driver"], folder, VARIABLES)
    with gunicorn(base_path) as server:
        yield Example(programs, folder, server)


def test_it_is_formatted_where_it_is_ours(example: Example) -> None:
    assert run_well(["gofmt", "-l", "example", "connect.go"], example.folder) == ""


def test_it_decides_as_the_server_does(example: Example) -> None:
    observation = (example.folder / "example.json").read_text("utf-8")
    expected = example.server.post("predict_deterministic", json.loads(observation)).json()
    variables = {"POLICY_URL": example.server.url, **WHO}
    printed = run_well([example.programs / "driver", observation], example.folder, variables)
    assert printed == f"{expected['action']} {expected['meaning']}\n"


@pytest.mark.parametrize(
    "who", [WHO, {"POLICY_KEY": KEY}, {"POLICY_TOKEN": KEY}], ids=lambda who: "-".join(who)
)
def test_its_example_decides_for_each_kind_of_caller(example: Example, who: dict[str, str]) -> None:
    observation = json.loads((example.folder / "example.json").read_text("utf-8"))
    expected = example.server.post("predict_deterministic", observation)
    done = example.run(example.folder, **who)
    assert done.returncode == 0, done.stderr
    decided = json.loads(done.stdout)
    assert decided.keys() == expected.json().keys()
    assert expected.headers["X-Policy-Version"] in done.stderr


def test_a_wrong_password_is_refused_with_the_problem(example: Example) -> None:
    done = example.run(example.folder, POLICY_USER=USER, POLICY_PASSWORD="wrong")
    assert done.returncode == 1
    assert done.stderr.startswith("refused: ")
    assert done.stdout == ""


def test_a_field_that_there_is_not_is_refused_before_it_is_sent(
    example: Example, tmp_path: Path
) -> None:
    observation = json.loads((example.folder / "example.json").read_text("utf-8"))
    (tmp_path / "example.json").write_text(json.dumps({**observation, "misspelt": 1}))
    done = example.run(tmp_path, **WHO)
    assert done.returncode == 1
    assert 'example.json is no observation: json: unknown field "misspelt"' in done.stderr
