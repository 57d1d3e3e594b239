"""What is made of a contract, before anything compiles it."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from policy_server.clients import openapi_generator
from policy_server.clients.failure import LanguageFailed
from policy_server.clients.languages import NAMES
from policy_server.clients.library import ClientLibrary
from policy_server.clients.openapi_generator import MENDS, OpenApiGenerator, find_jar
from policy_server.clients.templates import Mend, mended_templates
from policy_server.contract.contract import ContractFile
from policy_server.contract.specification import parse_specification, render_specification
from tests.support.server import ROOT

SCHEMA = (ROOT / "examples" / "lpoc" / "schema.yaml").read_text(encoding="utf-8")
ALL_MENDS = [(language, at) for language, (_, mends) in MENDS.items() for at in range(len(mends))]


def library(base_path: Path, schema: str = SCHEMA) -> ClientLibrary:
    contract = ContractFile(schema, "A service", "1.0").resolve()
    specification = parse_specification(
        render_specification(contract, ROOT / "swagger.template.yaml")
    )
    return ClientLibrary(base_path, contract, specification, OpenApiGenerator())


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
