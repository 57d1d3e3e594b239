"""Observations as rows of a CSV file: a column for each field, `name[0]` for items of arrays."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import MsgspecError

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Scalar
from policy_server.contract.schema import Observation
from policy_server.errors import Fault
from policy_server.frontend.csv_cells import meant, written
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import value_at
from policy_server.frontend.wording import path_name

ITEM = re.compile(r"^(?P<name>.+?)(?P<steps>(?:\[\d+\])+)$")
MAX_ROWS = 200_000
KNOWN_NAMES = 12
TOLD_EVERY = 2_000
SEPARATORS = ",;\t"
SAID_SEPARATOR = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
"""A first line by which spreadsheets say what separates cells."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
WHOLE_WITH_COMMA = re.compile(r"[+-]?\d+,0{1,2}")
"""Of a whole number: more digits would as well be thousands."""

Place = tuple[str, tuple[int, ...]]
"""A field's name, and positions within it."""


@dataclass(frozen=True)
class Layout:
    """What a file's columns are.

    Attributes:
        header: Names of its columns.
        places: What each column holds; None for one that is no field.
        separator: Between cells.
        begin: How many characters and lines stand before the header.
    """

    header: list[str]
    places: list[Place | None]
    separator: str
    begin: tuple[int, int]

    @property
    def extra(self) -> list[str]:
        """Names of the columns that are no fields."""
        return [name for name, place in zip(self.header, self.places, strict=True) if place is None]

    @property
    def has_decimal_commas(self) -> bool:
        """Numbers may have a comma: it separates no cells."""
        return self.separator != ","


@dataclass(frozen=True)
class Row:
    """A valid row.

    Attributes:
        cells: As they came, for the file that goes out.
        observation: What they mean.
        line: Where the row begins in the file.
    """

    cells: Sequence[str]
    observation: Observation
    line: int


@dataclass(frozen=True)
class Rejected:
    """A row that is not valid: the line where it begins, what is wrong, and its cells."""

    line: int
    fault: str
    cells: Sequence[str]


@dataclass(frozen=True)
class Rows:
    """A file's rows.

    Attributes:
        header: Names of its columns.
        rows: Those that are valid.
        rejected: The others.
    """

    header: list[str]
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def faults(self) -> list[Fault]:
        """Of each rejected row its line and what is wrong."""
        return [Fault(f"Line {each.line}", each.fault) for each in self.rejected]


def read_layout(content: bytes, service: Service) -> Layout:
    """Read a CSV file's header.

    Raises:
        ValueError: It is no CSV file of observations at all.
    """
    text = _text(content)
    said = SAID_SEPARATOR.match(text)
    begin = (said.end(), 1) if said else (0, 0)
    line = text[begin[0] :].partition("\n")[0]
    separator = said[1] if said else max(SEPARATORS, key=line.count)
    names = next(_cells(text, separator, begin), (1, []))[1]
    if not names:
        raise ValueError("The file has no header line with the names of the fields.")
    given = [meant(name.strip()) for name in names]
    header = [name or f"(column {number})" for number, name in enumerate(given, 1)]
    if len(set(header)) < len(header):
        raise ValueError("Two columns have the same name.")
    places = [_place(name, service) for name in header]
    if not any(places):
        known = ", ".join(list(service.schema.fields)[:KNOWN_NAMES])
        raise ValueError(f"Column `{header[0]}` is not a field of the schema, which has: {known}.")
    if len({place for place in places if place}) < len([*filter(None, places)]):
        raise ValueError("Two columns hold the same item.")
    return Layout(header, places, separator, begin)


def read_rows(
    content: bytes,
    service: Service,
    layout: Layout | None = None,
    progress: Callable[[float], object] = lambda share: None,
) -> Rows:
    """Read a CSV file; columns that are no fields are kept as they came.

    Args:
        content: Of the file.
        service: Says what is valid.
        layout: Of the file, if that was read.
        progress: Called with the share of the file that was read.

    Raises:
        ValueError: It is no CSV file of observations at all.
    """
    layout = layout or read_layout(content, service)
    text = _text(content)
    lines = text.count("\n") + 1
    found = Rows(layout.header)
    reader = _cells(text, layout.separator, layout.begin)
    next(reader)
    for line, cells in reader:
        done = len(found.rows) + len(found.rejected)
        if done >= MAX_ROWS:
            raise ValueError(f"The file has more than {MAX_ROWS:,} rows: split it.")
        if done % TOLD_EVERY == 0:
            progress(min(line / lines, 1.0))
        if any(cell.strip() for cell in cells):
            _read_row(list(map(meant, cells)), layout, line, service, found)
    return found


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The file is not UTF-8 text (at byte {error.start}): save it as CSV UTF-8."
        ) from error


def _cells(text: str, separator: str, begin: tuple[int, int]) -> Iterator[tuple[int, list[str]]]:
    """Each row's cells, and the line where it begins."""
    characters, before = begin
    source = io.StringIO(text, newline="")
    source.seek(characters)
    reader = csv.reader(source, delimiter=separator, strict=True)
    line = before + 1
    try:
        for cells in reader:
            yield line, cells
            line = before + reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"The file is not CSV at line {before + reader.line_num}: {error}."
        ) from error


def template(service: Service) -> bytes:
    """A CSV file with the example as its one row."""
    example = service.example()
    cells: dict[str, Any] = {}
    for name, value in example.items():
        for path in _paths((name,), value):
            cells[path_name(path)] = json.dumps(value_at(example, path)).strip('"')
    return written([list(cells), list(cells.values())])


def _paths(path: tuple[str | int, ...], value: Any) -> list[tuple[str | int, ...]]:
    if not isinstance(value, list):
        return [path]
    return [deeper for index, item in enumerate(value) for deeper in _paths((*path, index), item)]


def _place(column: str, service: Service) -> Place | None:
    """Which field, and which item of it, a column holds."""
    match = None if column in service.schema.fields else ITEM.match(column)
    name = match["name"] if match else column
    steps = tuple(map(int, re.findall(r"\d+", match["steps"]))) if match else ()
    return (name, steps) if name in service.schema.fields else None


def _read_row(cells: list[str], layout: Layout, line: int, service: Service, found: Rows) -> None:
    if len(cells) > len(layout.header):
        fault = f"{len(cells)} cells, the header has {len(layout.header)}."
        found.rejected.append(Rejected(line, fault, cells))
        return
    try:
        observation = _observation(cells, layout, service)
        service.decoder.convert(observation)
    except ValueError as error:  # msgspec's are among them
        said = str(error).replace(" - at `$.", ", at `")
        fault = f"{said}{'.' if isinstance(error, MsgspecError) else ''}"
        found.rejected.append(Rejected(line, fault, cells))
        return
    found.rows.append(Row(cells, observation, line))


def _observation(cells: list[str], layout: Layout, service: Service) -> Observation:
    observation: Observation = {}
    for place, cell in zip(layout.places, map(str.strip, cells), strict=False):
        if place is None or not cell:
            continue  # no field, or not sent
        name, steps = place
        field = service.schema.fields[name]
        if not steps:
            observation[name] = _value(field, cell, layout)
            continue
        items: Any = observation.setdefault(name, [])
        for depth, step in enumerate(steps):
            if not isinstance(field, Array) or not isinstance(items, list) or step > len(items):
                raise ValueError(f"{path_name((name, *steps))} has no place in the field.")
            field = field.items
            last = depth == len(steps) - 1
            if step == len(items):
                items.append(_value(field, cell, layout) if last else [])
            items = items[step] if not last else items
    return observation


def _value(field: Field, cell: str, layout: Layout) -> Any:
    """What a cell means; a comma in a number is a decimal one, where commas separate nothing."""
    if "," in cell and layout.has_decimal_commas and isinstance(field, Scalar) and field.numeric:
        pattern = DECIMAL_COMMA if field.stepless else WHOLE_WITH_COMMA
        if pattern.fullmatch(cell):
            cell = cell.replace(",", ".")
    return field.parse(cell)
