"""The SDK for Kotlin: Maven builds it without a warning, it decides, and says why not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import CALLERS, WHO, Programs, blocks, unpacked
from tests.clients.strangers import answering, pointing_to
from tests.clients.toolchains import COPY_DEPENDENCIES, JAVA, run_maven
from tests.support.server import KEY, USER, gunicorn


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


@pytest.mark.parametrize("who", CALLERS, ids=lambda who: "-".join(who))
def test_its_example_decides_for_each_kind_of_caller(
    programs: Programs, who: dict[str, str]
) -> None:
    done = programs.run(who)
    assert done.returncode == 0, done.stderr
    decided = json.loads(done.stdout)
    expected = programs.server.post("predict", programs.observation()).json()
    assert decided.keys() == expected.keys()


def test_an_observation_made_in_code_is_decided_as_the_server_does(programs: Programs) -> None:
    done = programs.run_in_code({"POLICY_KEY": KEY})
    assert done.returncode == 0, done.stderr
    asked = programs.server.post("predict", programs.observation(), params={"seed": 7}).json()
    assert done.stdout == f"{asked['action']}\n{asked['meaning']}\n"


def test_a_wrong_password_is_refused_with_the_problem(programs: Programs) -> None:
    done = programs.run({**WHO, "POLICY_PASSWORD": "wrong"})
    refused = programs.server.post("predict", programs.observation(), auth=(USER, "wrong"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"refused: {refused.json()['detail']}\n"


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
    observation = {**programs.observation(), **changes}
    (tmp_path / "example.json").write_text(json.dumps(observation))
    done = programs.run(WHO, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("example.json is no observation: ")
    assert said in done.stderr


def test_it_says_what_it_is_and_follows_no_redirect(programs: Programs) -> None:
    elsewhere = answering({"action": 0})
    with elsewhere.serving(), (here := pointing_to(elsewhere.url)).serving():
        done = programs.run(WHO, url=here.url)
    assert done.returncode == 1
    assert (len(here.received), elsewhere.received) == (1, [])
    sent = {name.lower(): value for name, value in here.received[0].items()}
    assert sent["user-agent"].endswith("(kotlin)")
    contract = ContractFile.read(programs.folder.parent / "instance").resolve()
    assert sent["x-schema-hash"] == contract.schema.digest
