"""CSV files of observations: what goes in, what comes out, and what is left out."""

import csv
import io
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.frontend.answers import Decision
from policy_server.frontend.client import Client, Credentials
from policy_server.frontend.decision_rows import counted, measured, write_rejected, write_rows
from policy_server.frontend.rows import read_layout, read_rows, template
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch


@pytest.fixture(scope="module")
def service_of_numbers() -> Service:
    """A service of a real and a whole number, which is not asked for decisions."""
    schema = read_schema("observations: {a: {type: float}, b: {type: int}}")
    client = Client("http://127.0.0.1", Credentials())
    return Service(
        client, schema, "numbers", "1", Decoder(schema),
        has_versions=False, has_bundles=False, has_staging=False, may_manage=False,
    )  # fmt: skip


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
        try:
            found = read_rows(whole, lpoc_service)
        except ValueError:  # it says what is wrong: see above
            continue
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
    assert list(written)[: len(added)] == [name for name in written if name not in given]


def test_columns_that_are_no_fields_are_named_and_stay_as_they_came(
    thermostat_service: Service,
) -> None:
    header, row = template(thermostat_service).decode().splitlines()
    content = f"who,{header},action,\n=me,{row},7,\n".encode()
    layout = read_layout(content, thermostat_service)
    assert layout.extra == ["who", "action", "(column 7)"]
    found = read_rows(content, thermostat_service, layout)
    assert [each.observation for each in found.rows] == [thermostat_service.example()]
    batch = decide_batch(thermostat_service.client, [found.rows[0].observation])
    out = write_rows(found, batch.decisions, batch.version, "abc").decode()
    (written,) = csv.DictReader(io.StringIO(out))
    assert (written["who"], written["action"]) == ("'=me", "7")
    assert float(written["decided.action"]) == batch.decisions[0].actions[0]
    again = read_rows(out.encode(), thermostat_service)
    assert [each.observation for each in again.rows] == [thermostat_service.example()]


@pytest.mark.parametrize(
    ("content", "numbers"),
    [
        ("a;b\n1,5;2,0\n", [{"a": 1.5, "b": 2}]),
        ("sep=;\r\na;b\r\n-,5e1;3\r\n", [{"a": -5.0, "b": 3}]),
        ("a\tb\n1,25\t4\n", [{"a": 1.25, "b": 4}]),
        ('a,b\n1.5,2\n"1,5",2\n', [{"a": 1.5, "b": 2}]),
        ("a;b\n1,5;1,000\n1.000,5;2\n0,5;2\n", [{"a": 0.5, "b": 2}]),
    ],
)
def test_a_comma_is_a_decimal_one_where_it_separates_nothing(
    content: str, numbers: list[dict[str, float]], service_of_numbers: Service
) -> None:
    found = read_rows(content.encode("utf-8-sig"), service_of_numbers)
    assert [each.observation for each in found.rows] == numbers


def test_rejected_rows_go_out_with_the_lines_where_they_begin(service_of_numbers: Service) -> None:
    content = b'sep=,\na,b,note\n1,2,"two\nlines"\n\nx,2,"=1\n"\n1,2,\n1,y,\n'
    found = read_rows(content, service_of_numbers)
    rows = list(csv.DictReader(io.StringIO(write_rejected(found).decode(), newline="")))
    assert [(row["line"], row["a"], row["b"], row["note"]) for row in rows] == [
        ("6", "x", "2", "'=1\n"),
        ("9", "1", "y", ""),
    ]
    assert all("Expected" in row["fault"] for row in rows)


def test_a_seed_draws_the_same_and_each_decision_is_counted(lpoc_service: Service) -> None:
    observations = [lpoc_service.random_observation(seed) for seed in range(60)]

    def drawn(seed: int) -> list[Decision]:
        return decide_batch(lpoc_service.client, observations, drawn=True, seed=seed).decisions

    assert drawn(1) == drawn(1) != drawn(2)
    told = counted(drawn(1))
    assert sum(int(row["rows"]) for row in told) == 60
    assert [row["decision"] for row in told] == [
        word for word, _ in Counter(each.words for each in drawn(1)).most_common()
    ]
    assert measured(drawn(1), ["action"]) == []


def test_actions_that_are_numbers_are_summed_up() -> None:
    decisions = [Decision((number,), (), "density", 1.0) for number in (1.0, 3.0, 8.0)]
    assert counted(decisions) == []
    assert measured(decisions, ["heat"]) == [
        {"action": "heat", "lowest": "1", "mean": "4", "highest": "8"}
    ]
