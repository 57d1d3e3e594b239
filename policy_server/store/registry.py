"""The stores that there are: which one a BASE_PATH is, its form says, and what it shares."""

from pathlib import Path

from policy_server.store.elsewhere import Elsewhere
from policy_server.store.local_folder import LocalFolder
from policy_server.store.object_storage import ObjectStorage
from policy_server.store.store import Store

STORES: tuple[type[Store], ...] = (ObjectStorage, LocalFolder)
"""Asked in this order."""


def open_store(base_path: Path, elsewhere: Elsewhere | None = None) -> Store:
    """The store of a BASE_PATH; nothing is written yet."""
    return next(store for store in STORES if store.takes(base_path, elsewhere))(
        base_path, elsewhere
    )
