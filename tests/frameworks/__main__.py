"""`python -m tests.frameworks`: makes the folders of tests/files/frameworks anew."""

import sys

from tests.frameworks.making import main

if __name__ == "__main__":
    raise SystemExit(not main(sys.argv[1:]))
