"""`fsck`: is everything in the store as it was made?"""

from policy_server.app.policies import catalogue_of, settings_of
from policy_server.app.protection import protect_base_path
from policy_server.app.settings import Settings, contracts_of, read_settings
from policy_server.serving.checking import findings
from policy_server.store.registry import open_store

DAMAGED = 1
"""Exit code where something is wrong."""


def fsck() -> None:
    """Look whether everything in BASE_PATH is as it was made.

    Nothing is changed, and a server may go on meanwhile. A version's files are compared with the
    hashes of when it was made. Exit code 1 where something is wrong.
    """
    settings = read_settings()
    protect_base_path(settings)
    damaged = _is_damaged(settings)
    for policy in catalogue_of(settings).names():
        print(f"policy {policy}")
        damaged |= _is_damaged(settings_of(settings, policy))
    if damaged:
        raise SystemExit(DAMAGED)


def _is_damaged(settings: Settings) -> bool:
    """Say how it stands with every version of a policy, and whether one is damaged."""
    damaged = False
    for name, faults in findings(open_store(settings.base_path), contracts_of(settings)):
        print(f"  {'DAMAGED' if faults else 'ok':<8}{name}")
        for fault in faults:
            print(f"          {fault}")
        damaged |= bool(faults)
    return damaged
