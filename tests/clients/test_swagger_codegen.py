"""SDKs by the other generator: the real swagger-codegen writes them, and they ask real servers."""

import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.asking import own_answer, step
from tests.clients.conftest import (
    SERVICES,
    Results,
    Service,
    Step,
    compiled,
    copied,
    make_contract,
    start,
    take_steps,
    unpack,
)
from tests.clients.strangers import REDIRECTS, answering, pointing_to
from tests.clients.suite import answered, by_name, own_answers, predict_steps
from tests.clients.swagger_codegen import CODEGEN_TOOLCHAINS, VERSION, swagger_codegen_jar
from tests.clients.toolchains import Sdk, Toolchain, run
from tests.support.server import run_command

LANGUAGES = ("python", "java", "scala", "r")
SERVED = ("lpoc", "tuple", "thermostat")
MADE = "".join(f"  ok      {language}\n" for language in LANGUAGES)


@dataclass(frozen=True)
class Written:
    """What the command made for one service."""

    service: Service
    printed: str
    steps: str
    sdks: Path

    @property
    def shelf(self) -> Path:
        """Where the command says that the zips are."""
        found = re.search(r"^The SDKs are in (.+);", self.printed, re.MULTILINE)
        assert found, self.printed
        return Path(found[1])

    def sdk(self, language: str) -> Sdk:
        return Sdk(self.service.name, self.sdks / language, self.service.package)


@pytest.fixture(scope="session")
def services(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Service]]:
    """Without the SDKs of the generator that is there by default."""
    with ExitStack() as stack:
        made: dict[str, Service] = {}
        for name in SERVED:
            folder = copied(request.getfixturevalue(SERVICES[name][1]), name, tmp_path_factory)
            make_contract(name, folder / "instance", "--noclients")
            made[name] = start(name, folder, stack)
        yield made


@pytest.fixture(scope="session")
def jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swagger_codegen_jar(tmp_path_factory.mktemp("maven"))


def run_generator(base_path: Path, program: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the command with the other generator."""
    return run_command(
        "clients",
        "--engine",
        "swagger-codegen",
        base_path=base_path,
        POLICY_SERVER_SWAGGER_CODEGEN=str(program),
    )


def write(service: Service, jar: Path, folder: Path) -> Written:
    """Make the SDKs of a service, and unpack them into a folder."""
    done = run_generator(service.base_path, jar)
    assert done.returncode == 0, done.stdout + done.stderr
    written = Written(service, done.stdout, done.stderr, folder)
    unpack((written.shelf / "clients.zip").read_bytes(), folder)
    return written


@pytest.fixture(scope="session")
def all_written(
    services: Mapping[str, Service], jar: Path, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Written]:
    folders = [tmp_path_factory.mktemp(f"codegen-{name}") for name in SERVED]
    with ThreadPoolExecutor() as pool:
        made = pool.map(lambda name, folder: write(services[name], jar, folder), SERVED, folders)
        return dict(zip(SERVED, made, strict=True))


@pytest.fixture(scope="module", params=SERVED)
def written(request: pytest.FixtureRequest, all_written: Mapping[str, Written]) -> Written:
    return all_written[request.param]


@pytest.fixture(scope="session", params=CODEGEN_TOOLCHAINS, ids=lambda each: each.language)
def codegen_toolchain(
    request: pytest.FixtureRequest,
    all_written: Mapping[str, Written],
    built: dict[type[Toolchain], Toolchain],
    tmp_path_factory: pytest.TempPathFactory,
) -> Toolchain:
    """A language in which the SDKs of all services, and their drivers, were compiled."""
    kind: type[Toolchain] = request.param
    if kind not in built:
        sdks = [written.sdk(kind.language) for written in all_written.values()]
        built[kind] = compiled(kind, sdks, tmp_path_factory)
    return built[kind]


@pytest.fixture(scope="module")
def results(
    codegen_toolchain: Toolchain, written: Written, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Results]:
    """What came of the part of the suite that asks for decisions, and of other credentials."""
    service = written.service
    example = service.schema.example()
    suite: dict[str, list[Step]] = {
        **predict_steps(service),
        "credentials": [
            step("predict", client, observation=example, seed=1) for client in ("key", "token")
        ],
        "wrong password": [step("predict", "wrong", observation=example)],
    }
    steps = [each for steps in suite.values() for each in steps]
    sdk = written.sdk(codegen_toolchain.language)
    folder = tmp_path_factory.mktemp("script")
    return by_name(suite, take_steps(codegen_toolchain, sdk, service.server.url, steps, folder))


def test_all_languages_are_made_by_the_real_program(written: Written) -> None:
    assert written.printed.startswith(MADE)
    assert written.shelf.name == f"swagger-codegen-{VERSION}"
    for language in LANGUAGES:
        assert f"wrote {language} ..." in written.steps


def test_a_second_run_makes_nothing_anew(
    all_written: Mapping[str, Written], jar: Path, tmp_path: Path
) -> None:
    written = all_written["tuple"]
    zips = [written.shelf / f"{language}.zip" for language in LANGUAGES]
    # A zip that is written again is another file.
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in zips]
    again = write(written.service, jar, tmp_path)
    assert again.printed == written.printed
    assert again.steps == ""
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in zips] == before


def test_the_same_contract_gives_the_same_zips(
    all_written: Mapping[str, Written], jar: Path, tmp_path: Path
) -> None:
    written = all_written["tuple"]
    elsewhere = tmp_path / "instance"
    ignored = shutil.ignore_patterns("clients")
    shutil.copytree(written.service.base_path, elsewhere, ignore=ignored)
    done = run_generator(elsewhere, jar)
    assert done.stdout.startswith(MADE), done.stdout + done.stderr
    shelf = elsewhere / written.shelf.relative_to(written.service.base_path)
    for language in LANGUAGES:
        name = f"{language}.zip"
        assert (shelf / name).read_bytes() == (written.shelf / name).read_bytes()


@pytest.mark.parametrize("program", ["true", "false"])
def test_a_program_that_names_no_version_is_none(
    services: Mapping[str, Service], program: str
) -> None:
    done = run_generator(services["tuple"].base_path, program)
    assert done.returncode == 2
    assert f"`{program} version` names no version" in done.stderr


@pytest.mark.parametrize("name", ["predict", "deterministic", "distribution", "batch"])
def test_decisions_and_distributions_are_those_of_the_server(
    results: dict[str, Results], written: Written, name: str
) -> None:
    service = written.service
    assert answered(results[name]) == own_answers(service, predict_steps(service)[name])


def test_keys_are_sent_as_header_and_as_token(
    results: dict[str, Results], written: Written
) -> None:
    service = written.service
    expected = own_answer(service, "predict", service.schema.example(), seed=1)
    assert answered(results["credentials"]) == [expected, expected]


def test_a_wrong_password_is_refused(results: dict[str, Results]) -> None:
    assert results["wrong password"] == [{"refused": {"status": 401}}]


def test_no_redirect_is_followed_where_that_is_said(
    codegen_toolchain: Toolchain, all_written: Mapping[str, Written], tmp_path: Path
) -> None:
    written = all_written["lpoc"]
    example = written.service.schema.example()
    elsewhere = answering(own_answer(written.service, "predict", example))
    pointing = pointing_to(elsewhere.url)
    asked = [
        step("predict", client, observation=example)
        for client in ("user", "key", "token")
        for _ in REDIRECTS
    ]
    sdk = written.sdk(codegen_toolchain.language)
    with elsewhere.serving(), pointing.serving():
        results = take_steps(codegen_toolchain, sdk, pointing.url, asked, tmp_path)
    assert elsewhere.received == []
    assert [result["refused"]["status"] for result in results] == [*REDIRECTS] * 3


@pytest.mark.parametrize(
    ("language", "begin", "declared"),
    [
        ("scala", "case class Observation (", "\n  {}: "),
        ("r", "Observation <- R6::R6Class(", "\n    `{}` = NULL,\n"),
    ],
    ids=["scala", "r"],
)
def test_the_observation_is_a_type_with_every_field_by_its_name_in_json(
    written: Written, language: str, begin: str, declared: str
) -> None:
    (path,) = (written.sdks / language).rglob(f"Observation.{language}")
    text = path.read_text(encoding="utf-8")
    assert begin in text
    fields = list(written.service.schema.fields)
    assert [field for field in fields if declared.format(field) not in text] == []


def test_what_is_written_for_r_is_r(written: Written) -> None:
    code = 'cat(sum(lengths(lapply(list.files("R", full.names = TRUE), parse))))'
    assert int(run(["Rscript", "-e", code], written.sdks / "r")) > 0


def test_the_project_for_java_is_one_that_new_compilers_know(written: Written) -> None:
    pom = (written.sdks / "java" / "pom.xml").read_text(encoding="utf-8")
    assert "<java.version>1.8</java.version>" in pom


def test_no_empty_tests_are_handed_out(written: Written) -> None:
    made: set[str] = set()
    for language in LANGUAGES:
        with zipfile.ZipFile(written.shelf / f"{language}.zip") as archive:
            made |= set(archive.namelist())
    assert "python/setup.py" in made
    assert [name for name in sorted(made) if "test" in Path(name).parts] == []
    assert "python/test-requirements.txt" not in made
