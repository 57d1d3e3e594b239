"""CSV files of observations: what goes in, what comes out, and what is left out."""

import contextlib
import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.frontend.rows import read_rows, template, write_rows
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch


def test_the_template_is_the_example(lpoc_service: Service) -> None:
    found = read_rows(template(lpoc_service), lpoc_service)
    assert found.faults == []
    assert [row.observation for row in found.rows] == [lpoc_service.example()]


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ("99,true", "<= 10"),
        ("many,true", "Expected `int`, got `str`"),
        ("3,perhaps", "Expected `bool`, got `str`"),
        ("3,true,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15", "the header has"),
        ("3", "missing required field"),
    ],
)
def test_a_row_that_is_not_valid_is_named_by_its_line(
    lpoc_service: Service, cells: str, fault: str
) -> None:
    header, good = template(lpoc_service).decode().splitlines()
    names = header.split(",")
    reordered = ["id", "has_core", *(name for name in names if name not in ("id", "has_core"))]
    values = dict(zip(names, next(csv.reader([good])), strict=True))
    rest = [values[name] for name in reordered[2:]] if cells.count(",") == 1 else []
    text = "\n".join([",".join(reordered), ",".join([cells, *rest]), ""])
    found = read_rows(text.encode(), lpoc_service)
    assert found.rows == []
    assert [each.place for each in found.faults] == ["Line 2"]
    assert fault in found.faults[0].detail


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no header line"),
        (b"\xff\xfe", "not UTF-8"),
        (b"colour\nred\n", "`colour` is not a field"),
        (b"id,id\n1,2\n", "same name"),
        (b'id\n"1\n', "not CSV"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_sentence(
    lpoc_service: Service, content: bytes, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_rows(content, lpoc_service)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_file_breaks_the_reader(lpoc_service: Service, content: bytes) -> None:
    header = template(lpoc_service).partition(b"\n")[0]
    for whole in (content, header + b"\n" + content):
        with contextlib.suppress(ValueError):  # it says what is wrong: see above
            found = read_rows(whole, lpoc_service)
            for row in found.rows:
                lpoc_service.decoder.convert(row.observation)


def test_semicolons_and_empty_optional_cells_are_read(lpoc_service: Service) -> None:
    text = template(lpoc_service).decode()
    lines = [next(csv.reader([line])) for line in text.splitlines()]
    column = lines[0].index("is_left_free")
    lines[1][column] = ""
    content = "\n".join(";".join(line) for line in lines).encode()
    (row,) = read_rows(content, lpoc_service).rows
    assert "is_left_free" not in row.observation


@pytest.mark.parametrize("kind", ["lpoc_service", "tuple_service", "thermostat_service"])
def test_what_comes_out_is_what_went_in_and_what_the_server_decides(
    kind: str, request: pytest.FixtureRequest
) -> None:
    service: Service = request.getfixturevalue(kind)
    found = read_rows(template(service), service)
    batch = decide_batch(service.client, [row.observation for row in found.rows])
    out = write_rows(found, batch.decisions, batch.version, "abc").decode()
    (written,) = csv.DictReader(io.StringIO(out))
    (given,) = csv.DictReader(io.StringIO(template(service).decode()))
    assert given.items() <= written.items()
    (decision,) = batch.decisions
    added = [value for name, value in written.items() if name not in given]
    wanted = [*decision.actions, *decision.meanings, decision.certainty, batch.version, "abc"]
    assert added == [str(each) for each in wanted]
