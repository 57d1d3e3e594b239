"""What is made of a contract, before anything compiles it."""

import errno
import io
import json
import re
import time
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from policy_server.clients import openapi_generator
from policy_server.clients.failure import LanguageFailed
from policy_server.clients.further import FURTHER
from policy_server.clients.generator import Generator, Order
from policy_server.clients.languages import LANGUAGES, NAMES, Language
from policy_server.clients.library import ClientLibrary
from policy_server.clients.openapi_generator import MENDS, OpenApiGenerator, find_jar
from policy_server.clients.templates import Mend, mended_templates
from policy_server.contract.contract import ContractFile
from policy_server.contract.specification import parse_specification, render_specification
from policy_server.errors import (
    ClientsBuilding,
    ClientsFailed,
    ClientsUnavailable,
    PolicyServerError,
    StoreFailed,
)
from tests.support.server import ROOT

SCHEMA = (ROOT / "examples" / "lpoc" / "schema.yaml").read_text(encoding="utf-8")
ALL_MENDS = [(language, at) for language, (_, mends) in MENDS.items() for at in range(len(mends))]


def library(
    base_path: Path,
    schema: str = SCHEMA,
    generator: Generator | None = None,
    again_seconds: float = 60.0,
) -> ClientLibrary:
    contract = ContractFile(schema, "A service", "1.0").resolve()
    specification = parse_specification(
        render_specification(contract, ROOT / "swagger.template.yaml")
    )
    writes = generator or OpenApiGenerator()
    return ClientLibrary(base_path, contract, lambda: specification, writes, again_seconds)


class Ailing:
    """A generator that fails for a while.

    Attributes:
        fault: What it raises, or says of each language; None once it is well.
    """

    name = "ailing"
    sends_credentials = True

    def __init__(self, fault: Exception | str | None) -> None:
        self.fault = fault
        self.runs = 0

    def version(self) -> str:
        return "ailing 1"

    def languages(self) -> Sequence[Language]:
        return LANGUAGES

    def generate(self, order: Order) -> dict[str, Path | str]:
        self.runs += 1
        if isinstance(self.fault, Exception):
            raise self.fault
        made: dict[str, Path | str] = {}
        for name in NAMES:
            (order.folder / name).mkdir()
            (order.folder / name / "code").write_text(name)
            made[name] = self.fault or order.folder / name
        return made


def told(asked: ClientLibrary, language: str | None = None) -> PolicyServerError | None:
    """What somebody is told who asks until there is something else than that it is being made."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            asked.archive(language)
        except ClientsBuilding:
            time.sleep(0.01)
        except PolicyServerError as error:
            return error
        else:
            return None
    raise AssertionError("they are being made for ever")


FAULTS = [
    (OSError(errno.ENOSPC, "No space left on device"), StoreFailed, "No space left on device"),
    (OSError(errno.EROFS, "Read-only file system"), StoreFailed, "Read-only file system"),
    (RuntimeError("a fault of ours"), ClientsFailed, "the log says why"),
    (ClientsUnavailable("There is no Java."), ClientsUnavailable, "There is no Java."),
    ("the generator refused: it is Monday", ClientsFailed, "it is Monday"),
]


@pytest.mark.parametrize(("fault", "kind", "words"), FAULTS)
@pytest.mark.parametrize("language", [None, "python"])
def test_what_cannot_be_made_is_said_and_not_tried_at_each_request(
    tmp_path: Path,
    fault: Exception | str,
    kind: type[PolicyServerError],
    words: str,
    language: str | None,
) -> None:
    generator = Ailing(fault)
    asked = library(tmp_path, generator=generator)
    for _ in range(5):
        error = told(asked, language)
        assert type(error) is kind
        assert words in str(error)
    assert generator.runs == 1


@pytest.mark.parametrize("fault", [fault for fault, _, _ in FAULTS])
def test_it_is_tried_again_after_a_while(tmp_path: Path, fault: Exception | str) -> None:
    generator = Ailing(fault)
    asked = library(tmp_path, generator=generator, again_seconds=0.2)
    assert told(asked) is not None
    generator.fault = None
    deadline = time.monotonic() + 60
    while told(asked) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with zipfile.ZipFile(io.BytesIO(asked.archive())) as archive:
        assert {f"{name}/code" for name in NAMES} < set(archive.namelist())
    assert 1 < generator.runs < 20


def test_where_nothing_can_be_kept_nobody_is_told_to_ask_again(tmp_path: Path) -> None:
    (tmp_path / "clients").write_text("a file where a folder should be")
    generator = Ailing(None)
    asked = library(tmp_path, generator=generator)
    with pytest.raises(ClientsUnavailable, match=r"File exists.*Let the server write there"):
        asked.archive()
    assert generator.runs == 0
    (tmp_path / "clients").unlink()
    assert told(asked) is None


class Further(Ailing):
    """A generator that knows further languages, and fails at these alone."""

    def languages(self) -> Sequence[Language]:
        return (*LANGUAGES, *FURTHER)

    def generate(self, order: Order) -> dict[str, Path | str]:
        if {language.name for language in order.languages} & {each.name for each in FURTHER}:
            raise RuntimeError("a fault of ours")
        return super().generate(order)


def test_a_further_language_is_made_by_itself_and_loses_no_other(tmp_path: Path) -> None:
    asked = library(tmp_path, generator=Further(None))
    names = {each.name for each in FURTHER}
    name = FURTHER[0].name
    error = told(asked, name)
    assert isinstance(error, ClientsFailed)
    assert "the log says why" in str(error)
    assert told(asked) is None
    with zipfile.ZipFile(io.BytesIO(asked.archive())) as archive:
        listed = {each["language"]: each for each in json.loads(archive.read("languages.json"))}
        readme = archive.read("README.md").decode()
        folders = {path.partition("/")[0] for path in archive.namelist()}
    assert listed.keys() == {*NAMES, *names}
    assert {each for each, entry in listed.items() if entry["included"]} == set(NAMES)
    assert folders == {*NAMES, "README.md", "languages.json"}
    assert {each["level"] for each in listed.values()} == {"generated"}  # nothing of ours is in it
    assert listed[name]["path"] == f"/clients/{name}"
    assert f"- `{name}`: {listed[name]['level']}; made when it is asked for" in readme


@pytest.mark.parametrize("name", ["a, b", "😀"])
def test_what_go_would_not_read_is_no_package(tmp_path: Path, name: str) -> None:
    schema = f'observations:\n  "{name}": {{type: float}}\n'
    made = library(tmp_path, schema).build(["go"], lambda _: None)
    assert made == {"go": f"Go reads no JSON with a field that is called {name!r}."}


def test_names_of_rust_are_those_that_rust_lets_one_have(tmp_path: Path) -> None:
    kinds = {
        "ref": "{type: string, enum: [Self, a b, a-b], example: Self}",
        "ref value": "{type: boolean}",
        "Option": "{type: string, enum: [x, y]}",
        "a_b": "{type: string, enum: [x, y]}",
        "aB": "{type: string, enum: [x, y]}",
        "crate": "{type: integer, enum: [-1, 2]}",
    }
    fields = "\n".join(f'    "{name}": {kind}' for name, kind in kinds.items())
    schema = f"Observation:\n  type: object\n  required: [ref]\n  properties:\n{fields}\n"
    assert library(tmp_path, schema).build(["rust"], lambda _: None) == {"rust": None}
    with zipfile.ZipFile(next(tmp_path.rglob("rust.zip"))) as archive:
        text = archive.read("rust/src/models/observation.rs").decode()
    assert re.findall(r"^ +pub (?!fn)(\w+: .*),$", text, re.MULTILINE) == [
        "ref_value: RefEnum",
        "ref_value_2: Option<bool>",
        "option: Option<OptionEnum>",
        "a_b: Option<String>",
        "a_b_2: Option<String>",
        "crate_value: Option<i32>",
    ]
    assert re.findall(r"^    (\w+),$", text, re.MULTILINE) == ["SelfValue", "AB", "AB2", "X", "Y"]
    assert "#[serde(deny_unknown_fields)]\npub struct Observation {" in text


def test_a_damaged_list_of_failures_is_none(tmp_path: Path) -> None:
    asked = library(tmp_path, generator=Ailing(None))
    asked.folder.mkdir(parents=True)
    (asked.folder / "failures.json").write_bytes(b'{"python": "cu')
    assert told(asked) is None


def zips(base_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in base_path.glob("clients/*/*/*.zip")}


def test_a_language_that_cannot_be_made_does_not_lose_the_others(tmp_path: Path) -> None:
    fields = "\n".join(f"    f{i}: {{type: number}}" for i in range(300))
    wide = f"Observation:\n  type: object\n  properties:\n{fields}\n"
    made = library(tmp_path, wide).build(["scala", "python"], lambda _: None)
    assert made["python"] is None
    assert "300 fields" in str(made["scala"])
    assert zips(tmp_path).keys() == {"python.zip"}


def test_where_there_are_no_steps_there_are_no_episodes(tmp_path: Path) -> None:
    without_observations = "parameters: {discrete: true, tuple: false}\n"
    made = library(tmp_path, without_observations).build(NAMES, lambda _: None)
    assert made == dict.fromkeys(NAMES)
    with zipfile.ZipFile(next(tmp_path.rglob("clients.zip"))) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert [name for name, text in files.items() if "episode" in (name + text).lower()] == []


@pytest.mark.parametrize(("language", "at"), ALL_MENDS)
def test_every_fault_is_there_as_often_as_it_was_counted(language: str, at: int) -> None:
    folder, mends = MENDS[language]
    counted = mends[at].count
    once_more = replace(mends[at], count=counted + 1)
    with pytest.raises(LanguageFailed) as caught:
        mended_templates(find_jar(), folder, [*mends[:at], once_more])
    assert f"was there {counted + 1} times and is there {counted} times" in str(caught.value)


@pytest.mark.parametrize("language", MENDS)
def test_mended_templates_have_what_is_right(language: str) -> None:
    folder, mends = MENDS[language]
    texts = mended_templates(find_jar(), folder, mends)
    assert texts.keys() == {mend.template for mend in mends}
    last = mends[-1]
    assert last.new in texts[last.template]


def test_a_generator_with_other_templates_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = Mend("api.mustache", "what no template says", "", 2)
    monkeypatch.setitem(openapi_generator.MENDS, "r", ("r", (unknown,)))
    made = library(tmp_path).build(["r", "python"], lambda _: None)
    assert made["python"] is None
    assert "api.mustache has changed" in str(made["r"])
    assert "was there 2 times and is there 0 times" in str(made["r"])
