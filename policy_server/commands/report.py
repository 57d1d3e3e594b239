"""`report`: what is known of a version, as one page that opens offline and prints."""

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.app.stores import store_of
from policy_server.commands.policy import settings_for
from policy_server.commands.terminal import show_progress
from policy_server.contract.contract import Contract
from policy_server.contract.policy_names import DEFAULT
from policy_server.contract.samples import random_observations
from policy_server.errors import PolicyServerError, StoreFailed
from policy_server.explaining.quantity import Weigh
from policy_server.files import write_atomically
from policy_server.reporting.before import Compared, before, compare
from policy_server.reporting.findings import Findings, find, golden_observations
from policy_server.reporting.opened import opened
from policy_server.reporting.page import About, render
from policy_server.store.store import Store

COMPARED_ON, MOST_GOLDEN = 500, 500
"""Random observations, and golden ones."""


def report(version: str, output: str, policy: str | None = None) -> None:
    """Write a report about a version as one HTML file, without a server.

    Args:
        version: Its name in BASE_PATH.
        output: The file that is written.
        policy: Which of several.
    """
    server = read_settings()
    protect_base_path(server)
    settings = settings_for(policy, server)
    contracts = contracts_of(settings, is_server=policy in (None, DEFAULT))
    store = store_of(settings)
    with contextlib.closing(store.use(version)):
        contract = contracts.of(version)
        text = _Report(store, settings, contract, version, show_progress()).text()
    try:
        write_atomically(Path(output), text.encode())
    except OSError as error:
        raise StoreFailed(
            f"The report cannot be written to {output}: {error.strerror or error}."
        ) from error
    print(f"{output} has the report about version {version}.")


class _Report:
    """A report in the making: what cannot be found out is said in it.

    Args:
        store: Where the version lies.
        settings: Of its policy.
        contract: What it was proven against.
        name: Of the version.
        progress: Told what is being done.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        contract: Contract,
        name: str,
        progress: Callable[[str], None],
    ) -> None:
        self._store, self._settings, self._contract = store, settings, contract
        self._name, self._progress = name, progress
        self._notes: list[str] = []
        self._golden = (
            golden_observations(store.folder(name), settings.build_limits.unpacked_bytes)
            if contract.schema.is_observed
            else []
        )

    def text(self) -> str:
        """The HTML."""
        manifest = self._store.manifest(self._name)
        active = self._store.active() == self._name
        about = About(manifest, self._contract, active, len(self._golden), datetime.now(UTC))
        findings, compared = self._asked() if self._contract.schema.is_observed else (None, None)
        if not self._contract.schema.is_observed:
            self._notes.append("The schema has no observations, so it was not asked about any.")
        return render(about, findings, compared, self._notes)

    def _asked(self) -> tuple[Findings | None, Compared | None]:
        """What asking the version finds; a note where it cannot be asked."""
        self._progress("loading the version")
        try:
            with self._opened(self._name) as weigh:
                self._progress("asking it")
                findings = find(self._contract.schema, self._golden, weigh)
                return findings, self._compared(weigh)
        except PolicyServerError as error:
            self._notes.append(f"It could not be asked: {error}")
            return None, None

    def _compared(self, weigh: Weigh) -> Compared | None:
        """How it differs from the version before; a note where that cannot be asked."""
        name = before(self._store, self._name)
        if name is None:
            self._notes.append("There is no version before it of the same schema to compare with.")
            return None
        self._progress(f"comparing it with version {name}")
        random = random_observations(self._contract.schema, COMPARED_ON, 0)
        golden = [observation for _, observation in self._golden[:MOST_GOLDEN]]
        try:
            with self._opened(name) as weigh_before:
                return compare(name, [*golden, *random], weigh, weigh_before)
        except PolicyServerError as error:
            self._notes.append(f"Version {name}, the one before it, could not be asked: {error}")
            return None

    def _opened(self, name: str) -> AbstractContextManager[Weigh]:
        settings = self._settings
        servers = settings.engine_servers(settings.base_path)
        return opened(self._store, name, self._contract, settings.serving_limits, servers)
