"""The policies of a server beside its default one, as settings have them."""

from dataclasses import replace
from pathlib import Path

from policy_server.access.authenticator import Authenticator
from policy_server.access.keys import Keys
from policy_server.access.records import keys_file
from policy_server.app.settings import Settings, contracts_of
from policy_server.contract.policy_names import DEFAULT
from policy_server.serving.contracts import Contracts
from policy_server.serving.policies import PolicyCatalogue
from policy_server.store.policies import PolicyFolders
from policy_server.store.registry import open_store


def settings_of(settings: Settings, name: str | None) -> Settings:
    """The settings of one policy of a server: it has a BASE_PATH of its own, and all else alike.

    What machines share is the default one alone.

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

    return PolicyCatalogue(PolicyFolders(settings.base_path), contracts, open_store)


def authenticator_of(settings: Settings, server: Authenticator) -> Authenticator:
    """Asks the keys of one policy, after all sources of its server.

    Args:
        settings: Of the policy.
        server: Asks the sources of the server, which hold for all of its policies.
    """
    return server.with_sources([Keys((), None, keys_file(settings.base_path))])


def _below(settings: Settings, folder: Path) -> Settings:
    return replace(settings, base_path=folder, store=None)
