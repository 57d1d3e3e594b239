"""Packages for programs without a server: compiled against ONNX Runtime, they decide as it does."""

import asyncio
import io
import json
import re
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.errors import VersionConflict
from policy_server.policy.policy import Policy
from policy_server.proving.golden import read_golden
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits
from policy_server.serving.contracts import Contracts
from policy_server.serving.edge.package import Packages
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.version.version_parts import VersionParts, read_network
from tests.serving.conftest import make_version
from tests.support.contracts import contract_of, kept_contracts, read_contracts
from tests.support.large_memory import leaky_onnx
from tests.support.networks import linear_onnx
from tests.support.onnxruntime_headers import onnxruntime_folder
from tests.support.tiny_engine import registered, tiny_model

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")
FILES = {
    *("README.md", "example.c", "example.cpp", "golden.jsonl", "golden.txt", "network.onnx"),
    *("policy.h", "policy.json"),
}
CAR = contract_of(
    3,
    actions="""
  steer: {type: str, enum: [links, 'gerade "aus"?', "\\u00fcber \\\\"], description: Front wheels}
  throttle: {type: float, minimum: 0, maximum: 10}
""",
)
DECLARED = """\
features:
  - field: x
    scale: [2, 0.1, 1]
    offset: -0.5
    normalise: {mean: [0.1, 0.2, 0.3], variance: [1, 4, 9], epsilon: 0.01}
    clip: [-2, 3]
"""
READS = "reads: mean_log_std\naction_range: [-1, 1]\n"


def packed(store: Store, contracts: Contracts, name: str) -> bytes:
    packages = Packages(store, contracts, BuildLimits(), ProcessLimits())
    sink = io.BytesIO()
    asyncio.run(packages.write(name, sink))
    return sink.getvalue()


def package_of(base: Path) -> bytes:
    """The package of what decides in a BASE_PATH."""
    store = open_store(base)
    name = store.active()
    assert name is not None
    return packed(store, read_contracts(base), name)


def unpacked(package: bytes, folder: Path) -> Path:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnxruntime_folder(tmp_path_factory.mktemp("runtime"))


@dataclass
class Compiled:
    """A package whose examples were compiled as its README says."""

    folder: Path

    def run(self, program: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.folder / program],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def compiled(folder: Path, runtime: Path) -> Compiled:
    """Do what the README says, up to the programs' own calls."""
    (block,) = re.findall(r"```sh\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    lines = [line for line in block.splitlines() if not line.startswith("./")]
    assert len(lines) == 2
    sh(" && ".join(lines), folder, runtime)
    return Compiled(folder)


def sh(script: str, folder: Path, runtime: Path) -> None:
    environment = {"ORT": str(runtime), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def assert_all_agree(programs: Compiled, cases: int = 32) -> None:
    for program in ("example_c", "example_cpp"):
        done = programs.run(program)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f": {cases} of {cases} golden cases agree" in done.stdout


@pytest.mark.parametrize("example", ["lpoc", "thermostat"])
def test_both_programs_pass_the_golden_cases_of_the_examples(
    example: str, request: pytest.FixtureRequest, tmp_path: Path, runtime: Path
) -> None:
    base: Path = request.getfixturevalue(f"published_{example}")
    package = package_of(base)
    folder = unpacked(package, tmp_path)
    assert {path.name for path in folder.iterdir()} == FILES
    assert_all_agree(compiled(folder, runtime))
    about = json.loads((folder / "policy.json").read_text())
    assert "It does not travel" in about["features"]["made"]
    assert about["golden"]["origin"] == "recorded in training"
    assert package_of(base) == package
    golden = read_golden(folder / "golden.jsonl", 10**6)
    assert golden.observations is not None
    assert len(golden.observations) == 32
    assert {"features", "distribution_inputs", "actions"} <= golden.recorded.keys()


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> "Car":
    folder = tmp_path_factory.mktemp("car")
    store = open_store(folder / "base")
    contracts = kept_contracts(CAR, folder / "base")
    given = {"preprocessor": DECLARED, "description": READS}
    name = make_version(store, CAR, activate=True, model=linear_onnx(3, 5), **given)
    package = unpacked(packed(store, contracts, name), folder / "package")
    return Car(store.folder(name), compiled(package, runtime))


@dataclass
class Car:
    """A policy whose features are declared, and whose actions are a head and a dimension."""

    version: Path
    programs: Compiled

    @property
    def folder(self) -> Path:
        return self.programs.folder

    def answers(self) -> list[dict[str, object]]:
        """What the server answers to the observations of the package."""
        parts = VersionParts.read(self.version, read_network(self.version, CAR), CAR)
        making = parts.preprocessor(CAR)
        policy = Policy(CAR, parts.network, parts.engine, making, parts.mapper)
        lines = (self.folder / "golden.jsonl").read_text().splitlines()
        observations = [json.loads(line)["observation"] for line in lines]
        records = [CAR.decoder.convert(each) for each in observations]
        return [each["values"] for each in policy.decide(records, "mode")]


def test_what_is_declared_becomes_code(car: Car) -> None:
    assert_all_agree(car.programs)
    expected = [
        f"case {number}: steer = {index} ({steer}) throttle = {throttle:.9g}"
        for number, (index, steer, throttle) in enumerate(
            (CHOICES.index(each["steer"]), each["steer"], each["throttle"])
            for each in car.answers()
        )
    ]
    *found, last = car.programs.run("example_c").stdout.splitlines()
    assert last.endswith("golden cases agree")
    for one, other in zip(found, expected, strict=True):
        *words, number = one.split(" ")
        *expected_words, expected_number = other.split(" ")
        assert words == expected_words
        assert float(number) == pytest.approx(float(expected_number), abs=1e-5)


CHOICES = ("links", 'gerade "aus"?', "über \\")


def test_compilers_find_nothing_to_complain_of(car: Car, runtime: Path) -> None:
    flags = f"{' '.join(STRICT)} -isystem {runtime}/include"
    sh(f"cc -std=c99 {flags} example.c", car.folder, runtime)
    sh(f"c++ -std=c++17 {flags} example.cpp", car.folder, runtime)


def test_policy_json_says_how_features_and_values_are_made(car: Car) -> None:
    about = json.loads((car.folder / "policy.json").read_text())
    assert [each["name"] for each in about["features"]["in_order"]] == ["x[0]", "x[1]", "x[2]"]
    operations = [each["operation"] for each in about["features"]["steps"]]
    assert operations == ["multiply", "add", "subtract", "divide", "maximum", "minimum"]
    steer, throttle = about["action"]
    assert steer["meanings"] == [*CHOICES]
    assert (steer["rule"], steer["outputs"]) == ("largest", [0, 1, 2])
    assert throttle["scale"] == {"start": -1, "factor": 5, "low": 0}
    assert (throttle["rule"], throttle["outputs"]) == ("number", [3])
    assert (throttle["minimum"], throttle["maximum"]) == (0, 10)


def test_another_network_is_found_out(car: Car, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("golden.txt", "example_c", "example_cpp"):
        (folder / name).write_bytes((car.folder / name).read_bytes())
        (folder / name).chmod(0o755)
    (folder / "network.onnx").write_bytes(linear_onnx(3, 5, seed=1))
    for program in ("example_c", "example_cpp"):
        done = Compiled(folder).run(program)
        assert (done.returncode, "32 of 32" in done.stdout) == (1, False)
    (folder / "golden.txt").write_text("32 3 5 2\n0.5")
    for program in ("example_c", "example_cpp"):
        done = Compiled(folder).run(program)
        assert (done.returncode, done.stderr) == (1, "golden.txt is cut.\n")


def refusal(folder: Path, contract: Contract, model: bytes) -> str:
    store = open_store(folder)
    contracts = kept_contracts(contract, folder)
    name = make_version(store, contract, model=model)
    with pytest.raises(VersionConflict) as caught:
        packed(store, contracts, name)
    return str(caught.value)


def test_masks_do_not_travel(tmp_path: Path) -> None:
    masked = contract_of(
        3,
        actions="{go: {type: bool}}",
        more='may: {type: "List[bool]", min_items: 2, max_items: 2, mask_of: go}',
    )
    assert "which actions are allowed (`may`)" in refusal(tmp_path, masked, model=linear_onnx(3, 2))


def test_what_another_engine_runs_does_not_travel(tmp_path: Path) -> None:
    kernel = np.ones((3, 4), np.float32)
    with registered():
        told = refusal(tmp_path, contract_of(), tiny_model(kernel))
    assert "its network is run by `tiny`" in told
    assert "Export the model as ONNX" in told


def test_a_version_that_lacks_parts_or_is_damaged_is_not_handed_out(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    contract = contract_of()
    contracts = kept_contracts(contract, tmp_path)
    with store.writing(), store.stage() as folder:
        given = {"contract": contract.digest, "parts": [], "checks": [], "complete": False}
        lacking = store.commit(folder, **given).name  # type: ignore[arg-type]
    with pytest.raises(VersionConflict, match="lacks parts"):
        packed(store, contracts, lacking)
    name = make_version(store, contract)
    (store.folder(name) / "model" / "network.onnx").write_bytes(linear_onnx(3, 4, seed=5))
    with pytest.raises(VersionConflict, match="is damaged"):
        packed(store, contracts, name)


def test_a_memory_does_not_travel(tmp_path: Path) -> None:
    told = refusal(tmp_path, contract_of(3), leaky_onnx(3))
    assert "its network has a memory" in told


FIELDS = """\
observations:
  speed: {type: float, minimum: 0, maximum: 9, unit: m/s, description: Ahead}
  gear: {type: str, enum: [low, "high \\u00fc"]}
  on: {type: bool, required: false}
  grid: {type: "List[int]", shape: [1, 2], minimum: 0, maximum: 9}
"""


def test_features_of_the_schema_are_named_in_order(tmp_path: Path) -> None:
    contract = Contract(read_schema(FIELDS))
    store = open_store(tmp_path / "base")
    contracts = kept_contracts(contract, tmp_path / "base")
    name = make_version(store, contract, model=linear_onnx(6, 4))
    folder = unpacked(packed(store, contracts, name), tmp_path / "package")
    about = json.loads((folder / "policy.json").read_text())
    speed, *others = about["features"]["in_order"]
    told = {"field": "speed", "type": "number", "unit": "m/s", "description": "Ahead"}
    assert speed == {"name": "speed", **told}
    names = ['gear = "low"', 'gear = "high ü"', "on", "grid[0][0]", "grid[0][1]"]
    assert [each["name"] for each in others] == names
    assert about["golden"]["origin"] == "random valid observations"
    assert "texts as a 1 among 0s" in about["features"]["made"]


def test_features_that_clients_send_travel(tmp_path: Path, runtime: Path) -> None:
    contract = Contract(read_schema("parameters: {discrete: true}\n"))
    store = open_store(tmp_path / "base")
    contracts = kept_contracts(contract, tmp_path / "base")
    name = make_version(store, contract)
    folder = unpacked(packed(store, contracts, name), tmp_path / "package")
    assert {path.name for path in folder.iterdir()} == FILES - {"golden.jsonl"}
    assert_all_agree(compiled(folder, runtime))
