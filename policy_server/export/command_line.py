"""The command line of every framework's file."""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from policy_server.export.spaces import ExportRefused
from policy_server.export.trained import Options

COMMON: Mapping[str, str] = {
    "checkpoint": "What training saved.",
    "env": "The environment: an id of Gymnasium, or `module:function` that makes one.",
    "output": "Folder to write.",
    "env_options": "JSON: what the environment is made with.",
    "names": "Of the numbers of an observation, with commas; a Dict has keys instead.",
    "actions": "Of the numbers of an action, with commas.",
    "meanings": "Of the numbers of a Discrete action, with commas.",
    "episodes": "How many are played to record golden cases.",
    "cases": "How many golden cases are kept of them.",
    "seed": "Of the first episode.",
    "max_steps": "After which an episode that does not end is left.",
}
LISTS = ("names", "actions", "meanings")
NUMBERS = ("episodes", "cases", "seed", "max_steps")
Export = Callable[[Mapping[str, str], Any, Options], object]
"""Exports: what the command line says, the environment, and options."""


def run(
    export: Export,
    more: Mapping[str, str],
    required: Sequence[str],
    text: str | None,
    arguments: Sequence[str] | None = None,
) -> None:
    """Read a command line and export; exit code 2, with the reason, where that is refused.

    Args:
        export: Of the framework.
        more: Its own options, each with its meaning.
        required: Those of them that have to be given.
        text: What the file is for.
        arguments: By default those of this process.
    """
    must = ("checkpoint", "env", "output", *required)
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for name, meaning in {**COMMON, **more}.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, dest=name, help=meaning, required=name in must)
    given = {
        name: value
        for name, value in vars(parser.parse_args(arguments)).items()
        if value is not None
    }
    try:
        export_as_told(export, given)
    except ExportRefused as refusal:
        print(refusal, file=sys.stderr)
        raise SystemExit(2) from None


def export_as_told(export: Export, given: Mapping[str, str]) -> None:
    """Export what a command line says.

    Args:
        export: Of the framework.
        given: Options by name, as texts.
    """
    sys.path.insert(0, str(Path.cwd()))
    env = environment(given["env"], json.loads(given.get("env_options", "{}")))
    try:
        export(given, env, _options(given))
    finally:
        env.close()


def named(place: str) -> Any:
    """What `module:name` names.

    Args:
        place: Name of a module that Python finds from here, and of a class or function in it.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ExportRefused(f"{place} is not found ({error}): write module:name.") from error


def environment(name: str, options: Mapping[str, Any]) -> Any:
    """An environment of Gymnasium, by its id or by the function that makes it."""
    import gymnasium

    module, colon, function = name.partition(":")
    if colon and hasattr(importlib.import_module(module), function):
        return named(name)(**options)
    return gymnasium.make(name, **options)


def _options(given: Mapping[str, str]) -> Options:
    said: dict[str, Any] = {
        name: [each.strip() for each in given[name].split(",")] for name in LISTS if name in given
    }
    for name in NUMBERS:
        if name in given:
            try:
                said[name] = int(given[name])
            except ValueError:
                raise ExportRefused(f"--{name} takes a whole number, not {given[name]}.") from None
    return Options(**said)


def number_pair(given: Mapping[str, str], name: str) -> tuple[float, float] | None:
    """Two numbers with a comma between them; None where they are not given."""
    if name not in given:
        return None
    try:
        first, last = map(float, given[name].split(","))
    except ValueError:
        raise ExportRefused(
            f"--{name.replace('_', '-')} takes two numbers, as in -1,1, not {given[name]}."
        ) from None
    return first, last
