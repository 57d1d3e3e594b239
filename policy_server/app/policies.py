"""The policies of a server beside its default one, as settings have them."""

from dataclasses import replace
from pathlib import Path

from policy_server.access.authenticator import Authenticator
from policy_server.access.keys import Keys
from policy_server.access.records import keys_file
from policy_server.app.settings import Settings, contracts_of
from policy_server.app.stores import shared_policies, store_of
from policy_server.contract.policy_names import DEFAULT, is_policy_name
from policy_server.serving.contracts import Contracts
from policy_server.serving.policies import PolicyCatalogue
from policy_server.store.policies import FOLDER, PolicyFolders
from policy_server.store.store import Store


def settings_of(settings: Settings, name: str | None) -> Settings:
    """The settings of one policy of a server: it has a BASE_PATH of its own, and all else alike.

    Args:
        settings: Of the server.
        name: Of the policy; None or `default` is the default one.

    Raises:
        PolicyNotFound: There is none of this name.
    """
    if name in (None, DEFAULT):
        return settings
    return _below(settings, PolicyFolders(settings.base_path).folder(name or ""))


def catalogue_of(settings: Settings) -> PolicyCatalogue:
    """The policies beside the default one."""

    def contracts(folder: Path) -> Contracts:
        return contracts_of(_below(settings, folder), is_server=False)

    def store(folder: Path) -> Store:
        return store_of(_below(settings, folder))

    folders = PolicyFolders(settings.base_path)
    return PolicyCatalogue(folders, contracts, store, shared_policies(settings))


def authenticator_of(settings: Settings, server: Authenticator) -> Authenticator:
    """Asks the keys of one policy, after all sources of its server.

    Args:
        settings: Of the policy.
        server: Asks the sources of the server, which hold for all of its policies.
    """
    return server.with_sources([Keys((), None, keys_file(settings.base_path))])


def _below(settings: Settings, folder: Path) -> Settings:
    """The settings of a policy in a folder; one that has no name yet is not shared."""
    is_shared = settings.store is not None and is_policy_name(folder.name)
    store = f"{settings.store}/{FOLDER}/{folder.name}" if is_shared else None
    return replace(settings, base_path=folder, store=store)
