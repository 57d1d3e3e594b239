"""The policies of one server beside its default one: a folder for each, which is a store."""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from policy_server.contract.policy_names import RULE, is_policy_name
from policy_server.errors import PolicyConflict, PolicyNotFound, StoreFailed
from policy_server.files import make_owners_folder

FOLDER = "policies"
CONTRACT_FILE = "contract.json"
UNFINISHED = ".new-"
REMOVED = ".removed-"


class PolicyFolders:
    """The folders `policies/NAME` below a BASE_PATH; each is the BASE_PATH of one policy.

    Args:
        base_path: Of the server.
    """

    def __init__(self, base_path: Path) -> None:
        self._folder = base_path / FOLDER

    def names(self) -> list[str]:
        """All policies, by their names."""
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            os.scandir(self._folder) as found,
        ):
            return sorted(each.name for each in found if is_policy_name(each.name))
        return []

    def has(self, name: str) -> bool:
        """Whether there is a policy of this name."""
        return is_policy_name(name) and (self._folder / name).is_dir()

    def folder(self, name: str) -> Path:
        """Where a policy lies.

        Raises:
            PolicyNotFound: There is none.
        """
        if not self.has(name):
            raise PolicyNotFound(f"There is no policy {name[:100]!r}: GET /policies lists them.")
        return self._folder / name

    def make(self, name: str, fill: Callable[[Path], None]) -> Path:
        """Make a policy; it is there as a whole, or not at all.

        Args:
            name: Of the policy.
            fill: Writes what it begins with into its folder.

        Raises:
            PolicyConflict: There is one of this name already, or none can be called so.
            StoreFailed: It cannot be written.
        """
        if not is_policy_name(name):
            raise PolicyConflict(f"{RULE}; `default` is the one whose API is /api.")
        if self.has(name):
            raise PolicyConflict(f"There is a policy {name} already.")
        unfinished = self._folder / f"{UNFINISHED}{secrets.token_hex(8)}"
        try:
            make_owners_folder(self._folder)
            make_owners_folder(unfinished)
            fill(unfinished)
            unfinished.rename(self._folder / name)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody else was faster
                raise PolicyConflict(f"There is a policy {name} already.") from error
            raise StoreFailed(f"The policy cannot be stored: {error.strerror}.") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return self._folder / name

    def remove(self, name: str) -> None:
        """Remove a policy with all its versions, keys and history; gone at once, for all.

        Raises:
            PolicyNotFound: There is none.
            StoreFailed: It cannot be removed.
        """
        folder = self.folder(name)
        removed = self._folder / f"{REMOVED}{secrets.token_hex(8)}"
        try:
            folder.rename(removed)
        except FileNotFoundError as error:
            raise PolicyNotFound(f"There is no policy {name!r} any more.") from error
        except OSError as error:
            raise StoreFailed(f"The policy cannot be removed: {error.strerror}.") from error
        shutil.rmtree(removed, ignore_errors=True)  # what is left is none any more, and cleaned

    def clean(self) -> None:
        """Remove what a crash has left of policies that were being made or removed."""
        for left in (*self._folder.glob(f"{UNFINISHED}*"), *self._folder.glob(f"{REMOVED}*")):
            shutil.rmtree(left, ignore_errors=True)
