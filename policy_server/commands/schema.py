"""`schema`: an observation schema becomes the API."""

from dataclasses import replace
from pathlib import Path

from policy_server.app.protection import protect_base_path
from policy_server.app.settings import read_settings, sign_in_of
from policy_server.app.stores import store_of
from policy_server.commands.clients import make_clients
from policy_server.commands.policy import made
from policy_server.commands.terminal import print_warning, read_text
from policy_server.contract.contract import (
    DEFAULT_TITLE,
    DEFAULT_VERSION,
    Contract,
    ContractFile,
)
from policy_server.contract.history import SchemaHistory
from policy_server.contract.policy_names import DEFAULT
from policy_server.contract.specification import write_specification
from policy_server.errors import ClientsUnavailable, VersionNotFound
from policy_server.resources import TEMPLATE
from policy_server.store.store import Store


def schema(
    path: str,
    title: str = DEFAULT_TITLE,
    version: str = DEFAULT_VERSION,
    clients: bool = True,
    policy: str | None = None,
) -> None:
    """Make the API from an observation schema.

    Args:
        path: The schema file, or - for text on standard input.
        title: Name of the API, and of its SDKs.
        version: Version of the API.
        clients: Make the SDKs too. Without, the server makes them when they are first fetched.
        policy: Which of several; it is made where there is none of this name.
    """
    text, file = read_text(path)
    settings = made(policy, read_settings(), text.encode(), file)
    given = ContractFile(text, title, version).saying(settings.actions)
    contract = given.resolve(file=file)
    for warning in contract.schema.warnings:
        print_warning(warning)
    protect_base_path(settings)
    SchemaHistory(settings.base_path).save(contract.schema)
    store = store_of(settings)
    with store.writing():
        specification = write_specification(
            contract,
            TEMPLATE,
            settings.base_path,
            sign_in=sign_in_of(settings),
            is_server=policy in (None, DEFAULT),
        )
        store.save_contract(replace(given, schema=contract.schema.text).content)
        stale = _deactivate_stale_version(store, contract)
    _tell(contract, specification, stale)
    if clients:
        try:
            make_clients(settings, contract, (), policy)
        except ClientsUnavailable as error:
            print_warning(str(error))


def _tell(contract: Contract, specification: Path, stale: str | None) -> None:
    print(
        f"{contract.title} {contract.version}: {_observations(contract)}, "
        f"{contract.actions.words}. The contract is {specification}."
    )
    if stale is not None:
        print_warning(
            f"version {stale} was proven against another schema, and no longer decides: "
            "publish its folder again, or upload its parts."
        )


def _observations(contract: Contract) -> str:
    fields = len(contract.schema.fields)
    return f"observations of {fields} fields" if fields else "the network's own input vectors"


def _deactivate_stale_version(store: Store, contract: Contract) -> str | None:
    """Let the active version decide no longer if it was proven against another contract."""
    active = store.active()
    if active is None:
        return None
    try:
        stale = store.manifest(active).contract != contract.digest
    except VersionNotFound:
        stale = True
    if not stale:
        return None
    store.deactivate()
    return active
