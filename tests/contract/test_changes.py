"""What a client of an old schema is told, and where old schemas are kept."""

from pathlib import Path

import pytest

from policy_server.contract.changes import changes
from policy_server.contract.history import SchemaHistory
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema


def schema(*fields: str) -> ObservationSchema:
    return read_schema("\n  ".join(["observations:", *fields]))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("{type: int}", "{type: int}", None),
        ("{type: int}", "{type: int, description: Table, example: 3}", None),
        (
            "{type: int, minimum: 0, maximum: 10}",
            "{type: int, minimum: 0, maximum: 5}",
            "is now an integer from 0 to 5; it was an integer from 0 to 10.",
        ),
        (
            "{type: float}",
            "{type: float, minimum: 0, exclusive_minimum: true, default: 1.5}",
            "is now a number above 0, by default 1.5; it was a number.",
        ),
        (
            "{type: str, enum: [a, b]}",
            "{type: bool}",
            'is now a boolean; it was one of "a", "b".',
        ),
        (
            '{type: "List[int]", min_items: 2, max_items: 2}',
            '{type: "List[int]", min_items: 1, max_items: 3}',
            "is now a list of 1 to 3 items, each an integer; "
            "it was a list of 2 items, each an integer.",
        ),
        ("{type: int, required: false}", "{type: int}", "must be sent now."),
        ("{type: int}", "{type: int, required: false}", "may be left out now."),
    ],
)
def test_a_changed_field_is_described(before: str, after: str, told: str | None) -> None:
    found = changes(schema(f"a/b: {before}"), schema(f"a/b: {after}"))
    assert [(fault.place, fault.detail) for fault in found] == ([("/a~1b", told)] if told else [])


def test_fields_that_came_and_went_are_listed_in_the_new_order() -> None:
    old = schema("gone: {type: int}", "stays: {type: int}")
    new = schema("wind: {type: float}", "stays: {type: int}", "rain: {type: bool, required: false}")
    assert [str(fault) for fault in changes(old, new)] == [
        "/wind: is new, and must be sent: a number.",
        "/rain: is new, and may be left out: a boolean.",
        "/gone: is no longer a field of the schema.",
    ]


def test_schemas_are_found_by_their_digest(tmp_path: Path) -> None:
    history = SchemaHistory(tmp_path)
    kept = [schema("a: {type: int}"), schema("b: {type: int}")]
    for each in [*kept, *kept]:
        history.save(each)
    assert [history.find(each.digest) for each in kept] == kept
    assert len(list((tmp_path / "schemas").iterdir())) == len(kept)


def test_a_schema_that_cannot_be_saved_is_served_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "schemas").write_text("no folder")
    SchemaHistory(tmp_path).save(schema("a: {type: int}"))
    assert "cannot be saved" in caplog.text


@pytest.mark.parametrize("digest", ["", "../contract", "A" * 64, "0" * 64, "0" * 63 + "/"])
def test_what_was_never_kept_is_not_found(tmp_path: Path, digest: str) -> None:
    (tmp_path / "contract.yaml").write_text("observations: {a: {type: int}}")
    assert SchemaHistory(tmp_path).find(digest) is None
