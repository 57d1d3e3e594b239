"""Cells of CSV files as spreadsheets take them: a text may look like a formula, and is none."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""Begins a formula, to one spreadsheet or another."""
DANGEROUS, MARKED = re.compile(f"'*{FORMULA}"), re.compile(f"'+{FORMULA}")
NUMBER = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")
MARK = "'"
"""Before a cell, it makes it a text."""


def harmless(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if not isinstance(cell, str) or NUMBER.fullmatch(cell):
        return cell
    return f"{MARK}{cell}" if DANGEROUS.match(cell) else cell


def meant(cell: str) -> str:
    """What a cell was before `harmless` marked it."""
    return cell[len(MARK) :] if cell.startswith(MARK) and MARKED.match(cell) else cell


def written(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as a CSV file, the header among them, without formulas."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows(map(harmless, row) for row in rows)
    return target.getvalue().encode()
