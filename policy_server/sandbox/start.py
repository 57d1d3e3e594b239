"""Runs a module of this package: `python -P start.py MODULE ARGUMENT ...`.

Python looks for packages by listing the folder that holds them. A confined process that starts
another one may not list this package's: in a checkout it holds everything else too.
"""

import importlib.util
import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the module that the arguments name, with the rest of them."""
    file, places = FOLDER / "__init__.py", [str(FOLDER)]
    spec = importlib.util.spec_from_file_location(
        FOLDER.name, file, submodule_search_locations=places
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[FOLDER.name] = package
    spec.loader.exec_module(package)
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
