"""Before anything is served: who can look into BASE_PATH, and how uploaded code is confined."""

import logging
import sys
import tempfile

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
        ConfigurationError: It is one; with the way back. Or what asks for it is not installed.
    """
    settings.check_library()
    try:
        check_format(settings.base_path)
    except StoreFailed as error:
        raise ConfigurationError(str(error)) from error


def check_temporary_files() -> None:
    """Refuse to start where no folder takes temporary files: uploads and builds have some.

    Raises:
        ConfigurationError: There is none; with the remedy.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        detail = "names no folder that can be written to, nor is there one in the usual places"
        remedy = "set it to one (containers: `--tmpfs /tmp`)."
        raise ConfigurationError(
            "Temporary files cannot be written.", [Fault("TMPDIR", f"{detail}: {remedy}")]
        ) from error


def protect(settings: Settings) -> tuple[str, ...]:
    """Close BASE_PATH to others, and log what is not protected.

    Returns:
        What uploaded code is not kept from.

    Raises:
        ConfigurationError: As `check_sandbox`, `check_store` and `check_temporary_files`.
    """
    check_sandbox(settings)
    check_store(settings)
    check_temporary_files()
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
