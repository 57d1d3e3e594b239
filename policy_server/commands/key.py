"""`key`: keys for programs."""

import re
import sys
import time
from datetime import UTC, datetime

from policy_server.access.audit import audited
from policy_server.access.keys import hash_key, new_key
from policy_server.access.records import KeyRecord, keys_file, now
from policy_server.app.settings import Settings, read_settings
from policy_server.commands.access import check_action, check_role, print_table
from policy_server.commands.policy import settings_for
from policy_server.errors import ConfigurationError, Fault

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
DAY_SECONDS = 86_400
MOST_DAYS = 3_650


def key(
    action: str,
    name: str | None = None,
    role: str = "predict",
    days: int | None = None,
    policy: str | None = None,
) -> None:
    """Add, list or remove API keys; every worker knows within a second.

    Args:
        action: add, list or remove. A key that is added is printed once and never again.
        name: Of the key, as logs call it; to remove one, its name or its id.
        role: What it may do: predict asks the policy, manage replaces it too.
        days: After which it expires; without it never.
        policy: Which of several the key is for; without it, it is for all of the server's.
    """
    settings = settings_for(policy, read_settings())
    check_action("key", action)
    if action == "list":
        _list(settings)
        return
    if name is None or not NAME.fullmatch(name):
        detail = "is 1 to 64 letters, digits or ._@+-, and begins with a letter or a digit."
        raise ConfigurationError("This cannot be run.", [Fault("NAME", detail)])
    with audited(settings.base_path, f"key {action}", name) as entry:
        adds = action == "add"
        entry.subject = _add(settings, name, role, days) if adds else _remove(settings, name)


def _list(settings: Settings) -> None:
    keys = keys_file(settings.base_path).read()
    rows = [
        (each.name, f"psk_{name}", each.role, each.created, _shown(each.expires))
        for name, each in sorted(keys.items(), key=lambda item: item[1].name)
    ]
    print_table(("key", "begins with", "role", "created", "expires"), rows)


def _add(settings: Settings, name: str, role: str, days: int | None) -> str:
    checked_role = check_role(role)
    if days is not None and not 1 <= days <= MOST_DAYS:
        fault = Fault("--days", f"is a whole number from 1 to {MOST_DAYS}, not {days}.")
        raise ConfigurationError("This cannot be run.", [fault])
    expires = None if days is None else time.time() + days * DAY_SECONDS
    identifier, secret = new_key()
    with keys_file(settings.base_path).changing() as keys:
        if any(each.name == name for each in keys.values()):
            raise ConfigurationError(
                f"There is a key {name} already: remove it, or name this else."
            )
        keys[identifier] = KeyRecord(name, hash_key(secret), checked_role, now(), expires)
    until = f" until {_shown(expires)}" if expires else ""
    print(f"The key {name} may {checked_role}{until}. It is shown this once:", file=sys.stderr)
    print(secret)
    return f"{name} (psk_{identifier})"


def _remove(settings: Settings, name: str) -> str:
    with keys_file(settings.base_path).changing() as keys:
        found = [
            identifier
            for identifier, each in keys.items()
            if name in (each.name, identifier, f"psk_{identifier}")
        ]
        if not found:
            raise ConfigurationError(f"There is no key {name}; `key list` shows which are there.")
        subject = f"{keys[found[0]].name} (psk_{found[0]})"
        del keys[found[0]]
    print(f"The key {subject} is removed.", file=sys.stderr)
    return subject


def _shown(expires: float | None) -> str:
    if expires is None:
        return "never"
    return datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
