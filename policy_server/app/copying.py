"""What signs and takes copies of versions, as settings have them: one key for all of a server."""

from functools import cache, partial

from policy_server.access.kept_key import kept_key
from policy_server.app.settings import Settings
from policy_server.errors import StoreFailed
from policy_server.serving.copying import Copies
from policy_server.serving.server_key import ServerKey
from policy_server.store.store import Store

KEPT = "server_key"
"""Below BASE_PATH: the key that was made."""
SECRET_BYTES = 32


def server_key(settings: Settings) -> ServerKey:
    """The key of a server, which is made where there is none.

    Args:
        settings: Of the server, not of one of its policies.

    Raises:
        StoreFailed: It cannot be kept, or what is kept is none.
    """
    path = settings.base_path / KEPT
    try:
        secret = bytes.fromhex(kept_key(path).decode("ascii"))
    except OSError as error:
        raise StoreFailed(
            f"This server's key cannot be kept in {path}: {error.strerror or error}. Nothing was "
            "changed."
        ) from error
    except ValueError:  # no hexadecimal numbers
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise StoreFailed(
            f"{path} is damaged. Bring it back from a copy of BASE_PATH; or remove it for another "
            "key, which other servers then have to trust."
        )
    return ServerKey(secret)


def copies_of(settings: Settings, store: Store) -> Copies:
    """The copies of a policy's versions.

    Args:
        settings: Of the server, not of one of its policies.
        store: Of the policy.
    """
    return Copies(store, cache(partial(server_key, settings)), settings.trusted_keys)
