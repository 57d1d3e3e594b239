"""What signs the memory of episodes: from the settings, or made at the first start."""

import logging
from pathlib import Path

from policy_server.access.kept_key import kept_key
from policy_server.access.secret_files import secret_in
from policy_server.app import setting_texts
from policy_server.app.settings import Settings
from policy_server.contract.contract import Contract
from policy_server.errors import ConfigurationError, Fault
from policy_server.serving.memory_tokens import MemoryTokens

KEPT = "memory_key"
"""Below BASE_PATH: the key that was made."""

logger = logging.getLogger(__name__)


def memory_key(settings: Settings) -> bytes | None:
    """The key that signs the memory of episodes; None where none is set and none can be kept.

    Raises:
        ConfigurationError: The file of the settings holds none that could be used.
    """
    if settings.memory_key is not None:
        return settings.memory_key.encode()
    if settings.memory_key_file is not None:
        return _given(settings.memory_key_file)
    path = settings.base_path / KEPT
    try:
        return kept_key(path)
    except OSError as error:
        logger.warning("POST /step is not answered: its key cannot be kept in %s: %s", path, error)
        return None


def _given(path: Path) -> bytes:
    try:
        return setting_texts.signing_key(secret_in(path.read_bytes()) or "").encode()
    except (OSError, ValueError) as error:
        fault = Fault("POLICY_SERVER_MEMORY_KEY_FILE", f"{error}.")
        raise ConfigurationError("The settings cannot be used.", [fault]) from error


def memory_tokens(settings: Settings, key: bytes | None, contract: Contract) -> MemoryTokens | None:
    """What writes and reads the memories of a contract's episodes; None where there is no key."""
    if key is None:
        return None
    return MemoryTokens(key, contract.digest, settings.episode_seconds)
