"""`clean`: everything generated and uploaded is removed."""

import shutil

from policy_server.app.settings import read_settings
from policy_server.commands.terminal import confirmed

GENERATED = (
    "contract.json",
    "swagger.yaml",
    "credentials",
    "memory_key",
    "episodes",
    "access",
    "audit",
    "builds",
    "format",
    "active",
    "active.new",
    "candidate",
    "candidate.new",
    "versions",
    "staging",
    "workers",
    "refused",
    "served",
    "lock",
    "loading.lock",
    "clients",
    "policies",
    "schemas",
    "pointers.lock",
    "frontend",
    "store.json",
    "incoming",
    "incoming.lock",
    "following.lock",
    "listing.lock",
)


def clean(yes: bool = False) -> None:
    """Remove everything generated and uploaded, below BASE_PATH and nowhere else.

    Args:
        yes: Do not ask.
    """
    base = read_settings().base_path
    found = [path for path in (base / name for name in GENERATED) if path.exists()]
    if not found:
        print(f"Nothing to remove in {base}.")
        return
    print("\n".join(["To be removed:", *(f"  {path}" for path in found)]))
    if not yes and not confirmed("Remove all of this?"):
        print("Nothing was removed.")
        return
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    print("Removed.")
