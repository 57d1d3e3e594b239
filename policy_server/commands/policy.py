"""`policy`, and `--policy NAME` of other commands: several policies of one server."""

from pathlib import Path

from policy_server.access.audit import audited
from policy_server.app.policies import catalogue_of, settings_of
from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, read_settings
from policy_server.commands.access import print_table
from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import ConfigurationError, Fault, PolicyNotFound

ACTIONS = ("list", "remove")
SCHEMA = "schema.yaml"


def policy(action: str, name: str | None = None) -> None:
    """List or remove policies; `publish FOLDER --policy NAME` makes one.

    Args:
        action: list or remove.
        name: Of the policy to remove, with all of its versions, keys and history.
    """
    settings = read_settings()
    if action not in ACTIONS:
        fault = Fault("ACTION", f"is one of {' and '.join(ACTIONS)}, not {action}.")
        raise ConfigurationError("This cannot be run.", [fault])
    catalogue = catalogue_of(settings)
    if action == "list":
        told = [
            (each["policy"], each.get("version", "-"), _title(each)) for each in catalogue.list()
        ]
        print_table(("policy", "version", "title"), told)
        return
    if name is None:
        raise ConfigurationError("This cannot be run.", [Fault("NAME", "is wanted.")])
    with audited(settings.base_path, "policy remove", name):
        catalogue.delete(name)
    print(f"Policy {name} is gone.")


def settings_for(name: str | None, settings: Settings) -> Settings:
    """The settings of a policy that is there; `name` is what `--policy` says.

    Raises:
        PolicyNotFound: There is none of this name.
    """
    try:
        return settings_of(settings, name)
    except PolicyNotFound as error:
        raise PolicyNotFound(
            f"There is no policy {name}: `publish FOLDER --policy {name}` makes it of a folder "
            f"with {SCHEMA}."
        ) from error


def made(name: str | None, settings: Settings, schema: bytes | None, file: str) -> Settings:
    """As `settings_for`; a policy that is not there is made, where there is a schema to make it of.

    Raises:
        PolicyNotFound: There is none of this name, and no schema.
        PolicyConflict: None can be called so.
    """
    if name in (None, DEFAULT):
        return settings
    catalogue = catalogue_of(settings)
    if schema is not None and name not in catalogue.names():
        protect_base_path(settings)
        with audited(settings.base_path, "policy add", name or ""):
            catalogue.create(name or "", schema, file=Path(file).name)
        print(f"Policy {name} is made.")
    return settings_for(name, settings)


def _title(told: dict[str, str]) -> str:
    return told.get("title") or told.get("detail", "")
