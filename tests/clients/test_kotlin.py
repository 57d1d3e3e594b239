"""The SDK for Kotlin: Maven builds it without a warning, it decides, and says why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import CommonTests, Programs, blocks, unpacked
from tests.clients.toolchains import COPY_DEPENDENCIES, JAVA, run_maven
from tests.support.server import KEY, gunicorn


@pytest.fixture(scope="module")
def programs(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made = unpacked("kotlin", published_lpoc, tmp_path_factory)
    base_path, folder = made / "instance", made / "kotlin"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version).joined
    in_code = blocks(folder, "kotlin")[-1]
    (folder / "src" / "main" / "kotlin" / "InCode.kt").write_text(in_code, "utf-8")
    run_maven(["package", COPY_DEPENDENCIES, f"-DoutputDirectory={folder / 'lib'}"], folder)
    (jar,) = (folder / "target").glob("*.jar")
    java = [*JAVA, "-cp", f"{jar}:{folder / 'lib'}/*"]
    with gunicorn(base_path) as server:
        yield Programs(folder, [*java, f"{package}.ExampleKt"], [*java, "InCodeKt"], server)


class TestCommon(CommonTests):
    language = "kotlin"
    redirected = "no decision: the service redirects, which is not followed"


def test_an_observation_made_in_code_is_decided_as_the_server_does(programs: Programs) -> None:
    done = programs.run_in_code({"POLICY_KEY": KEY})
    assert done.returncode == 0, done.stderr
    asked = programs.server.post("predict", programs.observation(), params={"seed": 7}).json()
    assert done.stdout == f"{asked['action']}\n{asked['meaning']}\n"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"misspelt": 1}, "misspelt"),
        ({"id": 1.5}, '["id"]'),
        ({"id": None}, '["id"]'),
        ({"has_core": "true"}, '["has_core"]'),
    ],
)
def test_what_is_no_observation_is_refused_before_it_is_sent(
    programs: Programs, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    refusal = programs.refusal(tmp_path, {**programs.observation(), **changes})
    assert refusal.startswith("example.json is no observation: ")
    assert said in refusal
