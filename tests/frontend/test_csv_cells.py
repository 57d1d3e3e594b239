"""What spreadsheets would run is text in our files, and numbers are numbers."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.frontend.csv_cells import harmless, meant, written

DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers()
TEXTS = st.text(st.sampled_from(f"{DANGEROUS}'1.e a")) | st.text()


@given(TEXTS)
def test_no_text_begins_a_formula_and_none_is_lost(text: str) -> None:
    cell = harmless(text)
    assert meant(cell) == text
    if cell.startswith(tuple(DANGEROUS)):
        float(cell)  # only numbers may


@given(NUMBERS)
def test_numbers_stay_as_they_are(number: float) -> None:
    assert harmless(number) == number
    assert harmless(str(number)) == str(number)


@pytest.mark.parametrize("text", ["=1+1", "-2+3", "+HYPERLINK(1)", "@SUM(1)", "\t=1", "-", "-1-1"])
def test_formulas_are_marked_in_cells_and_in_the_header(text: str) -> None:
    rows = list(csv.reader(io.StringIO(written([[text, "a"], [1.5, text]]).decode(), newline="")))
    assert rows == [[f"'{text}", "a"], ["1.5", f"'{text}"]]
