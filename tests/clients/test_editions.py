"""Packages of a schema that changes: each later one is newer, and says what changed."""

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.version import Version

from policy_server.clients.edition import Edition
from policy_server.clients.languages import NAMES
from policy_server.clients.library import ClientLibrary
from policy_server.clients.openapi_generator import OpenApiGenerator
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.specification import parse_specification, render_specification
from tests.support.server import ROOT

FIRST = """\
observations:
  id: {type: int, minimum: 0, maximum: 10}
  wind: {type: float}
"""
SECOND = FIRST.replace("10", "20") + "  rain: {type: bool, required: false}\n"
THIRD = SECOND.replace("wind", "breeze")
TOLD = [
    "**Breaking:** `wind` is called `breeze` now.",
    "`rain` is new, and may be left out: a boolean.",
    "`id` is an integer from 0 to 20 now; it was an integer from 0 to 10.",
    "The first schema that this service knows of.",
]
DESCRIBED: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "python": ("pyproject.toml", lambda text: tomllib.loads(text)["project"]["version"]),
    "java": ("pom.xml", lambda text: re.findall("<version>(.*?)</version>", text)[0]),
    "scala": ("build.sbt", lambda text: re.findall('version := "(.*?)"', text)[0]),
    "r": ("DESCRIPTION", lambda text: re.findall("^Version: (.*)$", text, re.MULTILINE)[0]),
    "typescript": ("package.json", lambda text: json.loads(text)["version"]),
}
"""Language -> the file by which its package manager knows a package, and the version there."""


def contract(schema: str, version: str = "2.1") -> Contract:
    return ContractFile(schema, "A service", version).resolve()


def packages(base_path: Path, given: Contract, *languages: str) -> dict[str, bytes]:
    """The files of the packages of a contract, made anew."""
    rendered = render_specification(given, ROOT / "swagger.template.yaml")
    library = ClientLibrary(
        base_path, given, lambda: parse_specification(rendered), OpenApiGenerator()
    )
    failures = library.build(languages, lambda _: None)
    assert not any(failures.values()), failures
    files: dict[str, bytes] = {}
    for language in languages:
        with zipfile.ZipFile(io.BytesIO(library.archive(language))) as archive:
            files |= {name: archive.read(name) for name in archive.namelist()}
    return files


def versions(base_path: Path, schemas: Sequence[str], api: str = "2.1") -> list[str]:
    return [Edition.of(base_path, contract(each, api)).package.version for each in schemas]


def test_each_later_schema_gives_a_newer_version_and_the_same_one_the_same(tmp_path: Path) -> None:
    assert versions(tmp_path, [FIRST, SECOND, THIRD]) == ["2.1.0", "2.1.1", "2.1.2"]
    assert versions(tmp_path, [THIRD, FIRST, SECOND]) == ["2.1.2", "2.1.0", "2.1.1"]
    assert versions(tmp_path, [THIRD], "3.0.7") == ["3.0.9"]
    assert versions(tmp_path, [FIRST], "next") == ["0.0.0"]


def test_twelve_schemas_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    later = [f"{FIRST}  f{number}: {{type: int}}\n" for number in range(12)]
    found = versions(tmp_path, [FIRST, *later])
    for before, after in pairwise(found):
        assert Version(before) < Version(after)
        # As npm, Maven, sbt and R compare: number by number, of which there are three.
        numbers = [tuple(map(int, each.split("."))) for each in (before, after)]
        assert [len(each) for each in numbers] == [3, 3]
        assert numbers == sorted(numbers)


def test_documentation_makes_no_new_package(tmp_path: Path) -> None:
    documented = FIRST.replace("float}", "float, description: From the west}")
    assert versions(tmp_path, [FIRST, documented]) == ["2.1.0", "2.1.0"]


def test_who_knows_no_history_counts_from_the_beginning(tmp_path: Path) -> None:
    edition = Edition.of(tmp_path, contract(THIRD))
    assert (edition.package.version, edition.older) == ("2.1.0", frozenset())
    assert edition.changelog("##").splitlines()[0] == "## 2.1.0"


def test_which_clients_are_older(tmp_path: Path) -> None:
    digests = [contract(each).schema.digest for each in (FIRST, SECOND, THIRD)]
    older = [Edition.of(tmp_path, contract(each)).older for each in (FIRST, SECOND, THIRD)]
    assert older == [frozenset(digests[:count]) for count in range(3)]
    assert Edition.of(tmp_path, contract(SECOND)).older == frozenset(digests[:1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A BASE_PATH that has seen three schemas, and the packages of the last."""
    base_path = tmp_path_factory.mktemp("editions")
    versions(base_path, [FIRST, SECOND])
    return base_path, packages(base_path, contract(THIRD), *NAMES)


@pytest.mark.parametrize("language", NAMES)
def test_a_package_has_its_version_and_says_what_changed(
    made: tuple[Path, dict[str, bytes]], language: str
) -> None:
    _, files = made
    name, version_in = DESCRIBED[language]
    assert version_in(files[f"{language}/{name}"].decode()) == "2.1.2"
    changelog = files[f"{language}/{'NEWS' if language == 'r' else 'CHANGELOG'}.md"].decode()
    assert re.findall("^#.* ([0-9.]+)$", changelog, re.MULTILINE) == ["2.1.2", "2.1.1", "2.1.0"]
    assert re.findall("^- (.*)$", changelog, re.MULTILINE) == TOLD
    readme = files[f"{language}/README.md"].decode()
    assert "Version 2.1.2, made for version 2.1 of the service." in readme


def test_a_package_is_the_same_byte_for_byte_whatever_came_after(
    made: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    base_path, files = made
    versions(base_path, [f"{THIRD}  more: {{type: int}}\n"])
    found = packages(base_path, contract(THIRD), "python")
    assert found == {path: text for path, text in files.items() if path.startswith("python/")}
    versions(tmp_path, [FIRST, SECOND])
    assert packages(tmp_path, contract(THIRD), "python") == found


def test_the_generated_cores_of_java_and_scala_make_no_clients(
    made: tuple[Path, dict[str, bytes]],
) -> None:
    """They would send no credentials; that these compile, other tests show."""
    texts = {
        path: text.decode() for path, text in made[1].items() if path.endswith(("java", "ala"))
    }
    (core,) = (text for path, text in texts.items() if path.endswith("/ApiClient.java"))
    assert re.findall(r"^ *(.*)\bApiClient\(.*\) \{$", core, re.MULTILINE) == ["", ""]
    assert not [path for path in texts if path.endswith("/Configuration.java")]
    apis = [text for path, text in texts.items() if path.endswith("Api.scala")]
    assert len(apis) > 2
    for text in apis:
        (made_by,) = re.findall(r"^(?:\w+ )*(?:object|class) \w+(.*)$", text, re.MULTILINE)
        assert made_by == " private[aserviceclient] (baseUrl: String):"
