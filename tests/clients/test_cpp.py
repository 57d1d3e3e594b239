"""The SDK for C++: it compiles with all warnings as errors, it decides, and says why not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.clients.names import Package
from policy_server.contract.contract import ContractFile
from tests.clients.compiled import CommonTests, Programs, blocks, unpacked
from tests.clients.toolchains import run
from tests.support.server import KEY, gunicorn

STRICT = "-O0 -Wall -Wextra -Werror"
IN_CODE = """
add_executable(in_code example/in_code.cpp)
target_link_libraries(in_code PRIVATE {package})
"""


@pytest.fixture(scope="module")
def programs(published_lpoc: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made = unpacked("cpp", published_lpoc, tmp_path_factory)
    base_path, folder = made / "instance", made / "cpp"
    contract = ContractFile.read(base_path).resolve()
    package = Package.of(contract.title, contract.version).joined
    (folder / "example" / "in_code.cpp").write_text(blocks(folder, "cpp")[-1], "utf-8")
    with (folder / "CMakeLists.txt").open("a", encoding="utf-8") as file:
        file.write(IN_CODE.format(package=package))
    options = ["-DCMAKE_UNITY_BUILD=ON", f"-DCMAKE_CXX_FLAGS={STRICT}"]
    run(["cmake", "-B", "build", *options], folder)
    for target in (package, "example", "in_code"):
        run(["cmake", "--build", "build", "--target", target], folder)
    build = folder / "build"
    with gunicorn(base_path) as server:
        yield Programs(folder, [build / "example"], [build / "in_code"], server)


class TestCommon(CommonTests):
    language = "cpp"
    redirected = "refused: the service redirects, which is not followed"


def test_an_observation_made_in_code_is_decided_as_the_server_does(programs: Programs) -> None:
    done = programs.run_in_code({"POLICY_KEY": KEY})
    assert done.returncode == 0, done.stderr
    asked = programs.server.post("predict", programs.observation(), params={"seed": 7}).json()
    decided = json.loads(done.stdout)
    assert decided == {**asked, "probability": pytest.approx(asked["probability"])}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"misspelt": 1}, 'there is no field "misspelt"'),
        ({"id": 1.5}, '"id" has a value of another type'),
        ({"id": None}, '"id" has a value of another type'),
        ({"has_core": "true"}, '"has_core" has a value of another type'),
        ({"target": [1, 1.5]}, '"target" has a value of another type'),
    ],
)
def test_what_is_no_observation_is_refused_before_it_is_sent(
    programs: Programs, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    refusal = programs.refusal(tmp_path, {**programs.observation(), **changes})
    assert refusal == f"example.json is no observation: {said}\n"


def test_a_field_that_is_required_is_missed(programs: Programs, tmp_path: Path) -> None:
    refusal = programs.refusal(tmp_path, programs.without_id())
    assert refusal == 'example.json is no observation: "id" is missing\n'
