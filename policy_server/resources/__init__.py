"""Files that are no code: the template of the contract, the Swagger UI, icons.

In a checkout they lie at its top level, where people look for them; `setup.py` copies them beside
this file into what is installed.
"""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = next(
    folder
    for folder in (Path(__file__).resolve().parent, CHECKOUT)
    if (folder / "swagger.template.yaml").is_file()
)
TEMPLATE = FOLDER / "swagger.template.yaml"
ASSETS = FOLDER / "assets"
COMMAND = "python generate.py" if FOLDER == CHECKOUT else "policy-server"
"""How users call the command line where this runs; for messages that say what to do."""


@cache
def release() -> str:
    """Of the program: as it is installed, or as its checkout says; `unknown` without either."""
    if FOLDER != CHECKOUT:
        return metadata.version("policy-server")
    try:
        text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "unknown"
    return str(tomllib.loads(text)["project"]["version"])
