"""Tests on policies that others made, which are not part of this project: `make test-corpus`."""

import pytest

from tests.support.corpus import CORPUS, VARIABLE

if not CORPUS.is_dir():
    raise pytest.UsageError(
        f"There is no corpus at {CORPUS}. Lay it there, or say in {VARIABLE} where it is; "
        "`make test` does without it."
    )
