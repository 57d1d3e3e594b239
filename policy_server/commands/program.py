"""The program: finds the command, runs it, and says how it ended."""

import sys
from collections.abc import Sequence

from policy_server.errors import PolicyServerError
from policy_server.resources import release

INSTALLED = "policy-server"
FAILED, INTERRUPTED = 2, 130
HELP = ("--help", "-h", "help")


def main(arguments: Sequence[str] | None = None, name: str = INSTALLED) -> None:
    """Run one command; exit code 2, with every fault, where it cannot be done.

    Args:
        arguments: Words of the command line; by default those of this process.
        name: How users call the program.
    """
    try:
        _run(name, list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except (PolicyServerError, OSError) as error:
        print(error, file=sys.stderr)
        raise SystemExit(FAILED) from error


def _run(program: str, words: list[str]) -> None:
    # Loading all that commands need takes a second, in which Ctrl+C may come too.
    import fire

    from policy_server.commands import help
    from policy_server.commands.arguments import UsageError, canonical, suggestion
    from policy_server.commands.registry import COMMANDS

    if not words or words[0] in HELP:
        print(help.overview(program, COMMANDS))
        return
    if words[0] == "--version":
        print(f"{INSTALLED} {release()}")
        return
    name, *rest = words
    if name not in COMMANDS:
        raise UsageError(f"{name} is no command; {suggestion(name, COMMANDS)}")
    if any(word in HELP[:2] for word in rest):
        print(help.command_help(program, name, COMMANDS[name]))
        return
    try:
        arguments = canonical(COMMANDS[name], rest)
    except UsageError as error:
        raise UsageError(f"{error}\nSee {program} {name} --help.") from error
    fire.Fire(COMMANDS[name], arguments, name=f"{program} {name}")
