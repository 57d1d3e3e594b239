"""`edge`: a version for programs that ask no server."""

import asyncio
import io
from pathlib import Path

from policy_server.app.protection import protect_base_path
from policy_server.app.settings import contracts_of, read_settings
from policy_server.app.stores import store_of
from policy_server.commands.policy import settings_for
from policy_server.contract.policy_names import DEFAULT
from policy_server.errors import StoreFailed
from policy_server.files import write_atomically
from policy_server.serving.edge.package import Packages


def edge(version: str, output: str, policy: str | None = None) -> None:
    """Write what a program needs that decides by a version without a server, as a zip.

    Args:
        version: Its name in BASE_PATH.
        output: The file that is written.
        policy: Which of several.
    """
    server = read_settings()
    protect_base_path(server)
    settings = settings_for(policy, server)
    contracts = contracts_of(settings, is_server=policy in (None, DEFAULT))
    limits, isolation = settings.build_limits, settings.serving_limits.isolation
    packages, package = Packages(store_of(settings), contracts, limits, isolation), io.BytesIO()
    asyncio.run(packages.write(version, package))
    try:
        write_atomically(Path(output), package.getvalue())
    except OSError as error:
        raise StoreFailed(
            f"The package cannot be written to {output}: {error.strerror or error}."
        ) from error
    print(f"{output} has version {version}: its README.md says how to go on.")
