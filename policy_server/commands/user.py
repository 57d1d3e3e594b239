"""`user`: who may log in with a password."""

import getpass
import re
import sys
from pathlib import Path

from policy_server.access import passwords
from policy_server.access.audit import audited
from policy_server.access.records import UserRecord, now, users_file
from policy_server.access.secret_files import secret_in
from policy_server.app.settings import Settings, read_settings
from policy_server.commands.access import check_action, check_role, print_table
from policy_server.errors import ConfigurationError, Fault

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
STANDARD_INPUT = "-"


def user(
    action: str,
    name: str | None = None,
    role: str = "predict",
    password_file: str | None = None,
    replace: bool = False,
) -> None:
    """Add, list or remove users; every worker knows within a second.

    Args:
        action: add, list or remove.
        name: Of the user.
        role: What they may do: predict asks the policy, manage replaces it too.
        password_file: Has their password, `-` is the standard input. Without it the terminal
            asks for one; where there is none, or nothing is typed, one is made and shown once.
        replace: Give a user who is there this password and role.
    """
    settings = read_settings()
    check_action("user", action)
    if action == "list":
        _list(settings)
        return
    checked = _checked_name(name, settings)
    with audited(settings.base_path, f"user {action}", checked):
        if action == "add":
            _add(settings, checked, role, password_file, replace)
        else:
            _remove(settings, checked)


def _list(settings: Settings) -> None:
    rows = [(settings.user, "manage", "", "of the settings")]
    users = users_file(settings.base_path).read()
    rows += [(name, each.role, each.created, "") for name, each in sorted(users.items())]
    print_table(("user", "role", "created", ""), rows)


def _add(
    settings: Settings, name: str, role: str, password_file: str | None, replace: bool
) -> None:
    checked_role = check_role(role)
    file = users_file(settings.base_path)
    if name in file.read() and not replace:
        raise ConfigurationError(
            f"The user {name} is there already: --replace gives a new password."
        )
    given = _given_password(password_file)
    password = given or passwords.new_password()
    if (wrong := passwords.weakness(password, name)) is not None:
        fault = Fault("password", f"{wrong}.")
        raise ConfigurationError("This password is not taken.", [fault])
    record = UserRecord(passwords.hash_password(password), checked_role, now())
    with file.changing() as users:
        users[name] = record
    print(f"The user {name} may {checked_role}.", file=sys.stderr)
    if not given:
        print("Their password, which is shown this once:", file=sys.stderr)
        print(password)


def _remove(settings: Settings, name: str) -> None:
    with users_file(settings.base_path).changing() as users:
        if name not in users:
            raise ConfigurationError(
                f"There is no user {name}; `user list` shows who is there.",
            )
        del users[name]
    print(f"The user {name} is removed.", file=sys.stderr)


def _checked_name(name: str | None, settings: Settings) -> str:
    if name is None:
        raise ConfigurationError("This cannot be run.", [Fault("NAME", "is missing.")])
    if not NAME.fullmatch(name):
        detail = "is 1 to 64 letters, digits or ._@+-, and begins with a letter or a digit."
        raise ConfigurationError("This cannot be run.", [Fault("NAME", detail)])
    if name == settings.user:
        detail = "is the user of the settings: POLICY_SERVER_USER and POLICY_SERVER_PASSWORD."
        raise ConfigurationError("This cannot be run.", [Fault(name, detail)])
    return name


def _given_password(file: str | None) -> str | None:
    if file is None:
        return _typed_password() if sys.stdin.isatty() else None
    try:
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
    except OSError as error:
        fault = Fault("--password-file", f"{file} cannot be read: {error.strerror}.")
        raise ConfigurationError("There is no password.", [fault]) from error
    secret = secret_in(content)
    if secret is None:
        fault = Fault("--password-file", f"{file} has no text in UTF-8.")
        raise ConfigurationError("There is no password.", [fault])
    return secret


def _typed_password() -> str | None:
    password = getpass.getpass("Password (nothing: one is made): ")
    if password and getpass.getpass("Once more: ") != password:
        raise ConfigurationError("The two differ; nothing was changed.")
    return password or None
