"""Schemas and output mappers from the wild are read as they are."""

import pytest
import yaml

from policy_server.contract.actions import ActionSettings
from policy_server.contract.fields.number import Number
from policy_server.contract.reading import read_schema
from policy_server.policy.output_mapper import read_output_mapper
from tests.support.corpus import CORPUS
from tests.support.schemas import assert_read_unchanged


def test_there_are_four() -> None:
    assert len(list(CORPUS.glob("*/schema.yaml"))) == 4


@pytest.mark.parametrize("name", ["lpoc", "mouse_and_cheese", "simple_stochastic_tuple"])
def test_swagger_files_are_read_unchanged(name: str) -> None:
    assert_read_unchanged((CORPUS / name / "schema.yaml").read_text(encoding="utf-8"))


def test_the_compact_file_is_read_and_its_key_is_not_kept() -> None:
    text = (CORPUS / "mouse_and_cheese_compact" / "schema.yaml").read_text(encoding="utf-8")
    schema = read_schema(text)

    assert list(schema.fields) == list(yaml.safe_load(text)["observations"])
    assert set(schema.fields.values()) == {Number()}
    assert schema.required == schema.fields.keys()
    assert schema.parameters == ActionSettings(tuple=False, discrete=True)
    assert schema.text == text.replace('"1234567asdfgh"', "'***'")
    assert len(schema.warnings) == 1


@pytest.mark.parametrize(("name", "actions"), [("lpoc", 5), ("mouse_and_cheese", 4)])
def test_output_mappers_are_read(name: str, actions: int) -> None:
    mapper = read_output_mapper(CORPUS / name / "output_mapper.yaml")
    assert mapper.meaning(0, 1) == "move right"
    assert mapper.faults([actions]) == []
    assert mapper.faults([actions + 1]) != []
    assert mapper.faults([actions - 1]) != []
