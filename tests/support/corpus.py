"""Where the policies lie that others made: beside the checkout, or where a variable says."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "CORPUS"
CORPUS = Path(os.environ.get(VARIABLE) or ROOT.parent / "shared" / "corpus")
