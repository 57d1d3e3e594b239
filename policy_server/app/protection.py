"""Before anything is served: who can look into BASE_PATH, and how uploaded code is confined."""

import logging
import sys

from policy_server.app.settings import Settings
from policy_server.errors import ConfigurationError, Fault, StoreFailed
from policy_server.sandbox import confinement
from policy_server.store.formats import check_format
from policy_server.store.privacy import keep_private

SETTING = "POLICY_SERVER_REQUIRE_SANDBOX"
NOT_ISOLATED = (
    "POLICY_SERVER_PREPROCESSOR_ISOLATION is none: uploaded code runs in the workers themselves"
)

logger = logging.getLogger(__name__)


def sandbox_lacks(settings: Settings) -> tuple[str, ...]:
    """What uploaded code is not kept from, on this machine and by these settings; in words."""
    if not settings.build_limits.isolation.confined:
        return (NOT_ISOLATED,)
    return tuple(confinement.missing())


def check_sandbox(settings: Settings) -> None:
    """Refuse to go on without all that confines uploaded code, where the settings want that.

    Raises:
        ConfigurationError: Something is missing; it is named.
    """
    lacking = sandbox_lacks(settings)
    if settings.require_sandbox and lacking:
        faults = [Fault(SETTING, f"missing is {each}.") for each in lacking]
        raise ConfigurationError("Uploaded code cannot be confined as it is required.", faults)


def check_store(settings: Settings) -> None:
    """Refuse a store that a later release has written to.

    Raises:
        ConfigurationError: It is one; with the way back.
    """
    try:
        check_format(settings.base_path)
    except StoreFailed as error:
        raise ConfigurationError(str(error)) from error


def protect(settings: Settings) -> tuple[str, ...]:
    """Close BASE_PATH to others, and log what is not protected.

    Returns:
        What uploaded code is not kept from.

    Raises:
        ConfigurationError: As `check_sandbox` and `check_store`.
    """
    check_sandbox(settings)
    check_store(settings)
    if (remedy := keep_private(settings.base_path)) is not None:
        logger.warning("%s", remedy)
    lacking = sandbox_lacks(settings)
    if lacking:
        logger.warning("the sandbox of uploaded code lacks: %s", "; ".join(lacking))
    else:
        logger.info("uploaded code is confined: by Landlock, seccomp, limits and no rights of root")
    return lacking


def protect_base_path(settings: Settings) -> None:
    """Close BASE_PATH to others, for commands; raises ConfigurationError as `check_store`."""
    check_store(settings)
    if (remedy := keep_private(settings.base_path)) is not None:
        print(f"warning: {remedy}", file=sys.stderr)
