"""Observations as rows of a CSV file: a column for each field, `name[0]` for items of arrays."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import MsgspecError

from policy_server.contract.fields.array import Array
from policy_server.contract.schema import Observation
from policy_server.errors import Fault
from policy_server.frontend.answers import Decision
from policy_server.frontend.csv_cells import meant, written
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import value_at
from policy_server.frontend.wording import path_name

ITEM = re.compile(r"^(?P<name>.+?)(?P<steps>(?:\[\d+\])+)$")
MAX_ROWS = 200_000


@dataclass(frozen=True)
class Row:
    """A valid row.

    Attributes:
        cells: As they came, for the file that goes out.
        observation: What they mean.
    """

    cells: Sequence[str]
    observation: Observation


@dataclass(frozen=True)
class Rows:
    """A file's rows.

    Attributes:
        header: Names of its columns.
        rows: Those that are valid.
        faults: Of each other row its line and what is wrong.
    """

    header: list[str]
    rows: list[Row]
    faults: list[Fault]


def read_rows(content: bytes, service: Service) -> Rows:
    """Read a CSV file.

    Raises:
        ValueError: It is no CSV file of observations at all.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"The file is not UTF-8 text (at byte {error.start}).") from error
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [meant(name.strip()) for name in next(reader)]
    except (StopIteration, csv.Error) as error:
        raise ValueError("The file has no header line with the names of the fields.") from error
    places = _places(header, service)
    found = Rows(header, [], [])
    try:
        for cells in reader:
            if len(found.rows) + len(found.faults) >= MAX_ROWS:
                raise ValueError(f"The file has more than {MAX_ROWS:,} rows: split it.")
            if any(cell.strip() for cell in cells):
                _read_row(list(map(meant, cells)), places, reader.line_num, service, found)
    except csv.Error as error:
        raise ValueError(f"The file is not CSV at line {reader.line_num}: {error}.") from error
    return found


def write_rows(found: Rows, decisions: Iterable[Decision], version: str, schema: str) -> bytes:
    """The valid rows with what was decided on each, the version that decided, and the schema.

    That is actions, meanings, and a probability or density where the policy draws.
    """
    decisions = list(decisions)
    names = decision_columns(decisions[0]) if decisions else []
    rows: list[list[Any]] = [[*found.header, *names, "version", "schema"]]
    for row, decision in zip(found.rows, decisions, strict=True):
        cells = [*row.cells, *[""] * (len(found.header) - len(row.cells))]
        rows.append([*cells, *decision_cells(decision), version, schema])
    return written(rows)


def decision_columns(decision: Decision) -> list[str]:
    """Names of the columns that a decision fills."""
    several = len(decision.actions) > 1
    numbers = [f"[{index}]" if several else "" for index in range(len(decision.actions))]
    names = [f"action{number}" for number in numbers]
    names += [f"meaning{number}" for number in numbers] if decision.meanings else []
    names += [f"values.{name}" for name in decision.values]
    return names if decision.likelihood is None else [*names, decision.likelihood]


def decision_cells(decision: Decision) -> list[Any]:
    """What a decision puts into these columns."""
    values = [
        json.dumps(each) if isinstance(each, list) else each for each in decision.values.values()
    ]
    certainty = [] if decision.certainty is None else [decision.certainty]
    return [*decision.actions, *decision.meanings, *values, *certainty]


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


def _places(header: list[str], service: Service) -> list[tuple[str, tuple[int, ...]]]:
    """Which field, and which item of it, each column holds."""
    places = []
    for column in header:
        match = None if column in service.schema.fields else ITEM.match(column)
        name = match["name"] if match else column
        steps = tuple(map(int, re.findall(r"\d+", match["steps"]))) if match else ()
        if name not in service.schema.fields:
            known = ", ".join(list(service.schema.fields)[:12])
            raise ValueError(f"Column `{column}` is not a field of the schema, which has: {known}.")
        places.append((name, steps))
    if len(set(places)) < len(places):
        raise ValueError("Two columns have the same name.")
    return places


def _read_row(
    cells: list[str],
    places: list[tuple[str, tuple[int, ...]]],
    line: int,
    service: Service,
    found: Rows,
) -> None:
    place = f"Line {line}"
    if len(cells) > len(places):
        found.faults.append(Fault(place, f"{len(cells)} cells, the header has {len(places)}."))
        return
    try:
        observation = _observation(cells, places, service)
        service.decoder.convert(observation)
    except ValueError as error:  # msgspec's are among them
        said = str(error).replace(" - at `$.", ", at `")
        found.faults.append(Fault(place, f"{said}{'.' if isinstance(error, MsgspecError) else ''}"))
        return
    found.rows.append(Row(cells, observation))


def _observation(
    cells: list[str], places: list[tuple[str, tuple[int, ...]]], service: Service
) -> Observation:
    observation: Observation = {}
    for (name, steps), cell in zip(places, cells, strict=False):
        if not cell.strip():
            continue  # not sent
        field = service.schema.fields[name]
        if not steps:
            observation[name] = field.parse(cell.strip())
            continue
        items: Any = observation.setdefault(name, [])
        for depth, step in enumerate(steps):
            if not isinstance(field, Array) or step > len(items):
                raise ValueError(f"{path_name((name, *steps))} has no place in the field.")
            field = field.items
            last = depth == len(steps) - 1
            if step == len(items):
                items.append(field.parse(cell.strip()) if last else [])
            items = items[step] if not last else items
    return observation
