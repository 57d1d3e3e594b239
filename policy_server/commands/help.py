"""The texts of `--help`, made from the commands' signatures and docstrings."""

import textwrap
from collections.abc import Mapping, Sequence

from fire import docstrings

from policy_server.commands.arguments import Command, Parameter, parameters_of

WIDTH = 100
GAP = 2


def overview(program: str, commands: Mapping[str, Command]) -> str:
    """What there is."""
    rows = [(name, docstrings.parse(command.__doc__).summary) for name, command in commands.items()]
    return "\n".join(
        [
            f"Usage: {program} COMMAND [OPTIONS]",
            "",
            "Serve the decisions of a trained policy over a typed REST API.",
            "",
            *_table(rows),
            "",
            "COMMAND --help says what a command takes, --version which version this is. Settings",
            "come from the environment and from ./.env. BASE_PATH (./instance) keeps what is made.",
        ]
    )


def command_help(program: str, name: str, command: Command) -> str:
    """What a command does and takes."""
    parameters = parameters_of(command)
    needed = " ".join(each.usage for each in parameters if each.required)
    optional = "[OPTIONS]" if any(not each.required for each in parameters) else ""
    usage = " ".join(filter(None, [f"Usage: {program} {name}", needed, optional]))
    summary = docstrings.parse(command.__doc__).summary
    rows = [(each.usage, _meaning(each)) for each in parameters]
    return "\n".join([usage, "", summary, *([""] if rows else []), *_table(rows)])


def _meaning(parameter: Parameter) -> str:
    shown = parameter.default is not None and not parameter.switch
    return f"{parameter.meaning}{f' Default: {parameter.default}.' if shown else ''}"


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Two columns, the second one wrapped."""
    indent = max((len(first) for first, _ in rows), default=0) + 2 * GAP
    lines = []
    for first, second in rows:
        start = f"{' ' * GAP}{first}".ljust(indent)
        lines += textwrap.wrap(second, WIDTH, initial_indent=start, subsequent_indent=" " * indent)
    return lines
