"""docs/configuration.md lists every setting, as the code has it, and no other."""

import re
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from policy_server.app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
DOCUMENTED = {
    name: (default, takes, meaning) for name, default, takes, meaning in ROW.findall(TEXT)
}
SETTINGS: dict[str, Field[Any]] = {each.metadata["name"]: each for each in fields(Settings)}
WRONG = ":\n"
"""No user, no number, no key and no boolean; what takes it anyway takes any text."""


def default_of(setting: Field[Any]) -> str:
    """A default as the page shows it."""
    value = setting.default
    if value in (None, (), ""):
        return "not set"
    if isinstance(value, Path):
        value = value.name  # the default lies in the working directory
    return f"`{value}`"


def taken_by(setting: Field[Any]) -> str:
    """What a setting takes, in the words with which it refuses anything else."""
    try:
        value = setting.metadata["parse"](WRONG)
    except ValueError as error:
        return str(error).removeprefix("is ")
    return "a path" if isinstance(value, Path) else "a text"


def test_every_setting_is_listed_once_and_no_other() -> None:
    assert sorted(row[0] for row in ROW.findall(TEXT)) == sorted(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_defaults_values_and_meanings_are_those_of_the_code(name: str) -> None:
    setting = SETTINGS[name]
    expected = (default_of(setting), taken_by(setting), setting.metadata["meaning"])
    assert DOCUMENTED.get(name) == expected, f"wanted: | `{name}` | {' | '.join(expected)} |"
