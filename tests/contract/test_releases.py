"""In which order contracts were recorded, and what each changed for who uses a client."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from policy_server.contract.actions import ActionSettings
from policy_server.contract.compatibility import release_notes
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.history import SchemaHistory
from policy_server.contract.releases import Release, ReleaseHistory


def contract(*fields: str, version: str = "1.0", actions: ActionSettings | None = None) -> Contract:
    text = "\n  ".join(["observations:", *fields])
    return ContractFile(text, "A service", version).resolve(actions)


FIRST, SECOND, THIRD = (contract(f"{name}: {{type: int}}") for name in ("a", "b", "c"))


def test_each_contract_has_its_place_however_often_it_comes(tmp_path: Path) -> None:
    history = ReleaseHistory(tmp_path)
    asked = [FIRST, SECOND, SECOND, FIRST, THIRD, FIRST, SECOND, THIRD]
    places = [len(history.record(each)) - 1 for each in asked]
    assert places == [0, 1, 1, 0, 2, 0, 1, 2]
    assert ReleaseHistory(tmp_path).record(SECOND) == [Release.of(FIRST), Release.of(SECOND)]


def test_many_writers_agree(tmp_path: Path) -> None:
    contracts = [contract(f"f{number}: {{type: int}}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: ReleaseHistory(tmp_path).record(each), contracts * 2))
    places = [len(ReleaseHistory(tmp_path).record(each)) for each in contracts]
    assert sorted(places) == list(range(1, 9))


def test_a_later_version_of_the_api_is_that_of_its_contract(tmp_path: Path) -> None:
    history = ReleaseHistory(tmp_path)
    for version in ("1.0", "2.1"):
        history.record(contract("a: {type: int}", version=version))
    assert [each.version for each in history.record(SECOND)] == ["2.1", "1.0"]
    history.record(contract("a: {type: int}", version="3.0"))  # an old one says nothing new
    assert [each.version for each in history.record(SECOND)] == ["2.1", "1.0"]


def test_schemas_from_before_count_by_their_times(tmp_path: Path) -> None:
    schemas = SchemaHistory(tmp_path)
    for age, each in enumerate([SECOND, FIRST]):
        schemas.save(each.schema)
        path = tmp_path / "schemas" / f"{each.schema.digest}.yaml"
        os.utime(path, (1000 - age, 1000 - age))
    history = ReleaseHistory(tmp_path)
    assert len(history.record(THIRD)) == 3
    assert len(history.record(SECOND)) == 2
    assert history.record(THIRD)[1] == Release.of(SECOND)


def test_a_damaged_record_is_left_as_it_is_and_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    SchemaHistory(tmp_path).save(FIRST.schema)
    path = tmp_path / "schemas" / "releases.json"
    path.write_text('[{"schema": ')
    assert len(ReleaseHistory(tmp_path).record(SECOND)) == 2
    assert path.read_text() == '[{"schema": '
    assert "releases.json cannot be read" in caplog.text


def test_where_nothing_can_be_kept_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "schemas").write_text("a file where a folder should be")
    assert ReleaseHistory(tmp_path).record(FIRST) == [Release.of(FIRST)]
    assert "cannot be recorded" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["a: {type: int}"], ["a: {type: int}", "b: {type: bool}"], "! `b` is new, and must be"),
        (
            ["a: {type: int}"],
            ["a: {type: int}", "b: {type: bool, required: false}"],
            "  `b` is new",
        ),
        (["a: {type: int}", "b: {type: bool}"], ["a: {type: int}"], "! `b` is no longer a field."),
        (["a: {type: int}"], ["b: {type: int}"], "! `a` is called `b` now."),
        (["a: {type: int, maximum: 5}"], ["a: {type: int, maximum: 9}"], "  `a` is an integer"),
        (["a: {type: int, maximum: 5}"], ["a: {type: int}"], "  `a` is an integer now"),
        (["a: {type: int, maximum: 9}"], ["a: {type: int, maximum: 5}"], "! `a` is an integer"),
        (["a: {type: int}"], ["a: {type: int, minimum: 0}"], "! `a` is an integer from 0 now"),
        (
            ["a: {type: float, minimum: 0}"],
            ["a: {type: float, minimum: 0, exclusive_minimum: true}"],
            "! `a` is a number above 0 now",
        ),
        (
            ["a: {type: float, minimum: 0, exclusive_minimum: true}"],
            ["a: {type: float, minimum: 0}"],
            "  `a` is a number from 0 now",
        ),
        (["a: {type: str, enum: [x]}"], ["a: {type: str, enum: [x, y]}"], "  `a` is one of"),
        (["a: {type: str, enum: [x, y]}"], ["a: {type: str, enum: [x]}"], "! `a` is one of"),
        (
            ['a: {type: "List[int]", min_items: 2, max_items: 2}'],
            ['a: {type: "List[int]", min_items: 1, max_items: 3}'],
            "  `a` is a list of 1 to 3 items",
        ),
        (["a: {type: int}"], ["a: {type: float}"], "! `a` is a number now"),
        (["a: {type: int, required: false}"], ["a: {type: int}"], "! `a` must be sent now."),
        (["a: {type: int}"], ["a: {type: int, required: false}"], "  `a` may be left out now."),
        (
            ["a: {type: int}", "b: {type: int}"],
            ["b: {type: int}", "a: {type: int}"],
            "  Fields are in another order",
        ),
    ],
)
def test_a_note_says_what_changed_and_whether_it_breaks(
    tmp_path: Path, before: list[str], after: list[str], told: str
) -> None:
    schemas, contracts = SchemaHistory(tmp_path), [contract(*before), contract(*after)]
    for each in contracts:
        schemas.save(each.schema)
    (note,) = release_notes(schemas, *map(Release.of, contracts))
    assert f"{'!' if note.breaks else ' '} {note.text}".startswith(told)


def test_other_actions_break(tmp_path: Path) -> None:
    tuples = contract("a: {type: int}", actions=ActionSettings(tuple=True))
    (note,) = release_notes(SchemaHistory(tmp_path), Release.of(FIRST), Release.of(tuples))
    assert note.breaks
    assert note.text == "Actions are tuples of discrete actions now; they were discrete actions."


def test_other_declared_actions_break_whatever_else_changed(tmp_path: Path) -> None:
    schemas, steer = SchemaHistory(tmp_path), "\nactions:\n  steer: {{type: str, enum: [{}]}}\n"
    texts = [
        "observations:\n  a: {type: int}" + steer.format("left, right"),
        "observations:\n  a: {type: int}" + steer.format("port, starboard"),
        "observations:\n  a: {type: float}" + steer.format("left, right"),
    ]
    contracts = [ContractFile(text).resolve() for text in texts]
    for each in contracts:
        schemas.save(each.schema)
    first, second, third = map(Release.of, contracts)
    changed = "The actions that the schema declares have changed."
    assert release_notes(schemas, first, second) == [(changed, True)]
    assert [note.text for note in release_notes(schemas, second, third)] == [
        changed,
        "`a` is a number now; it was an integer.",
    ]


def test_a_schema_that_is_gone_breaks(tmp_path: Path) -> None:
    (note,) = release_notes(SchemaHistory(tmp_path), Release.of(FIRST), Release.of(SECOND))
    assert note.breaks
    assert "not known any more" in note.text
