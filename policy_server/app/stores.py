"""The store of these settings, and what a server has of it before it starts."""

import multiprocessing
import sys

from policy_server.app.settings import Settings
from policy_server.errors import StoreUnavailable
from policy_server.logs import process_log
from policy_server.store.policies import PolicyFolders
from policy_server.store.registry import open_store
from policy_server.store.shared_policies import SharedPolicies
from policy_server.store.store import Store

FORK = multiprocessing.get_context("fork")


def store_of(settings: Settings) -> Store:
    """The store of these settings; nothing is written yet."""
    return open_store(settings.base_path, settings.elsewhere)


def shared_policies(settings: Settings) -> SharedPolicies | None:
    """The policies beside the default one that machines share; None where none do."""
    if settings.elsewhere is None:
        return None
    folders = PolicyFolders(settings.base_path)
    return SharedPolicies(settings.base_path, folders, settings.elsewhere)


def begin_store(settings: Settings) -> None:
    """Have what a server needs to start, in a process of its own.

    What asks for objects runs threads, without which a master must be that has workers.

    Raises:
        SystemExit: It is not here, and cannot be fetched; the reason was told.
    """
    if settings.elsewhere is None:
        return
    process = FORK.Process(target=_begin, args=(settings,))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(2)


def _begin(settings: Settings) -> None:
    try:
        store_of(settings).begin()
        if (shared := shared_policies(settings)) is not None:
            shared.begin()
    except StoreUnavailable as error:
        process_log.last_words(error)
        sys.exit(2)
