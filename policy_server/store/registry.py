"""The stores that there are: which one a BASE_PATH is, its form says."""

from pathlib import Path

from policy_server.store.local_folder import LocalFolder
from policy_server.store.store import Store

STORES: tuple[type[Store], ...] = (LocalFolder,)
"""Asked in this order; the last one takes what is left."""


def open_store(base_path: Path) -> Store:
    """The store of a BASE_PATH; nothing is written yet."""
    return next(store for store in STORES if store.takes(base_path))(base_path)
