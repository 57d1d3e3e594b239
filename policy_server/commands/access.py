"""What `user` and `key` have in common."""

from collections.abc import Sequence
from typing import cast

from policy_server.access.records import RoleName
from policy_server.commands.arguments import suggestion
from policy_server.errors import ConfigurationError, Fault

ACTIONS = ("add", "list", "remove")
ROLES = ("predict", "manage")


def check_action(command: str, action: str) -> None:
    """Make sure that it is known what to do."""
    if action not in ACTIONS:
        detail = f"is nothing that {command} does; {suggestion(action, ACTIONS)}"
        raise ConfigurationError("This cannot be run.", [Fault(action, detail)])


def check_role(role: str) -> RoleName:
    """The role of this name."""
    if role not in ROLES:
        fault = Fault("--role", f"is {' or '.join(ROLES)}, not {role!r}.")
        raise ConfigurationError("This cannot be run.", [fault])
    return cast(RoleName, role)


def print_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, each as wide as its widest text."""
    table = [names, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(names))]
    for row in table:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
