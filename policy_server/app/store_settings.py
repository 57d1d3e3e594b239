"""The settings that say where several machines share what is uploaded."""

import importlib.util
import re
from dataclasses import dataclass

from policy_server.app import setting_texts
from policy_server.app.setting import setting
from policy_server.errors import ConfigurationError, Fault
from policy_server.store.elsewhere import Elsewhere

ADDRESS = re.compile(r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{1,62}(/[A-Za-z0-9._=-]+)*/?")
STORE = "POLICY_SERVER_STORE"
LIBRARY = "obstore"


def address(text: str) -> str:
    """The address of a place in object storage."""
    if not ADDRESS.fullmatch(text) or "/." in text:
        raise ValueError("is an address such as s3://bucket/prefix (also gs://, az://)")
    return text.rstrip("/")


@dataclass(frozen=True)
class StoreSettings:
    """Where several machines share what is uploaded."""

    store: str | None = setting(
        STORE,
        address,
        None,
        "Bucket, and prefix in it, in which several servers share what is uploaded; not set: "
        "BASE_PATH has all",
    )
    store_seconds: int = setting(
        "POLICY_SERVER_STORE_SECONDS",
        setting_texts.count(1, 3_600),
        10,
        "Most for one request to it, of which one takes 8 MB at most",
    )

    @property
    def elsewhere(self) -> Elsewhere | None:
        """What other machines share with this one; None where nothing does."""
        return None if self.store is None else Elsewhere(self.store, self.store_seconds)

    def check_library(self) -> None:
        """Refuse to go on without what asks for objects, where there is a place for them.

        Raises:
            ConfigurationError: It is not installed.
        """
        if self.store is not None and importlib.util.find_spec(LIBRARY) is None:
            detail = f"wants {LIBRARY}, which is not installed: pip install policy-server[objects]."
            raise ConfigurationError("The settings cannot be used.", [Fault(STORE, detail)])
