"""The contract as it is kept, and what is decided where it leaves things open."""

import hashlib
import itertools
import json
from pathlib import Path

import pytest

from policy_server.contract.actions import ActionSettings
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaError
from tests.support.contracts import actions_of

SCHEMA = "observations: {a: {type: int}}\n"
CHOICES = (None, True, False)


class TestResolve:
    @pytest.mark.parametrize("word", ["tuple", "discrete"])
    def test_settings_come_before_the_request_the_schema_and_the_default(self, word: str) -> None:
        default = {"tuple": False, "discrete": True}[word]
        for setting, asked, parameter in itertools.product(CHOICES, CHOICES, CHOICES):
            said = "" if parameter is None else f"parameters: {{{word}: {parameter}}}\n"
            kept = ContractFile(SCHEMA + said, **{word: asked})  # type: ignore[arg-type]
            resolved = kept.resolve(ActionSettings(**{word: setting})).actions.settings
            if setting is not None:
                expected = setting
            elif asked is not None:
                expected = asked
            else:
                expected = default if parameter is None else parameter
            assert getattr(resolved, word) is expected
            other = "discrete" if word == "tuple" else "tuple"
            assert getattr(resolved, other) is (other == "discrete")

    def test_names_and_schema_are_passed_on(self) -> None:
        resolved = ContractFile(SCHEMA, "Größe: {{ x }} \U0001f600", "1.10").resolve()
        assert (resolved.title, resolved.version) == ("Größe: {{ x }} \U0001f600", "1.10")
        assert resolved.schema == read_schema(SCHEMA)

    def test_names_have_defaults(self) -> None:
        resolved = ContractFile(SCHEMA).resolve()
        assert (resolved.title, resolved.version) == ("Policy Server", "1.0.0")

    @pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 101, "\ud800"])
    def test_other_names_are_refused_both_at_once(self, name: str) -> None:
        with pytest.raises(SchemaError) as caught:
            ContractFile(SCHEMA, name, name).resolve()
        assert [fault.place for fault in caught.value.faults] == ["title", "version"]

    def test_faults_of_the_schema_name_its_file(self) -> None:
        with pytest.raises(SchemaError, match=r"mine\.yaml:1"):
            ContractFile("observations: {a: {type: x}}").resolve(file="mine.yaml")


class TestDigest:
    def test_it_changes_with_what_a_version_is_proven_against(self) -> None:
        schema, other = read_schema(SCHEMA), read_schema("observations: {b: {type: int}}")
        contracts = [
            Contract(fields, actions_of(discrete=discrete, tuple_=tuple_))
            for fields in (schema, other)
            for discrete in (True, False)
            for tuple_ in (True, False)
        ]
        assert len({contract.digest for contract in contracts}) == 8

    def test_it_is_that_of_versions_that_are_there_already(self) -> None:
        """Stores hold it: another spelling of the same contract would turn every version away."""
        schema = read_schema(SCHEMA)
        for discrete, tuple_ in itertools.product((True, False), repeat=2):
            meaning = f"{schema.digest} {discrete} {tuple_}"
            expected = hashlib.sha256(meaning.encode()).hexdigest()[:16]
            actions = actions_of(discrete=discrete, tuple_=tuple_)
            assert Contract(schema, actions).digest == expected

    def test_names_do_not_count(self) -> None:
        schema = read_schema(SCHEMA)
        assert Contract(schema).digest == Contract(schema, title="T", version="2").digest


class TestContractFile:
    def test_what_is_written_is_read(self, tmp_path: Path) -> None:
        kept = ContractFile(SCHEMA, "Größe \U0001f600", "1.10", tuple=True, discrete=None)
        kept.write(tmp_path / "new" / "folder")
        assert ContractFile.read(tmp_path / "new" / "folder") == kept

    def test_where_there_is_none_the_command_that_makes_one_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(SchemaError, match=r"There is no schema yet\.") as caught:
            ContractFile.read(tmp_path)
        [fault] = caught.value.faults
        assert fault.place == str(tmp_path / "contract.json")
        assert "python generate.py schema" in fault.detail

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"{}",
            b'{"schema": 1}',
            b'{"schema": null}',
            b'{"schema": "x", "title": 5}',
            b'{"schema": "x", "tuple": "yes"}',
            b'{"schema": "x", "discrete": 1}',
            b'{"schema": "\xff"}',
        ],
    )
    def test_damage_is_told(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "contract.json").write_bytes(content)
        with pytest.raises(SchemaError, match="cannot be read") as caught:
            ContractFile.read(tmp_path)
        assert "run `python generate.py schema` again" in str(caught.value)

    def test_a_folder_in_its_place_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "contract.json").mkdir()
        with pytest.raises(SchemaError, match="cannot be read"):
            ContractFile.read(tmp_path)

    def test_a_file_of_a_person_may_leave_out_what_has_a_default(self, tmp_path: Path) -> None:
        (tmp_path / "contract.json").write_text(json.dumps({"schema": SCHEMA}))
        assert ContractFile.read(tmp_path) == ContractFile(SCHEMA)
