"""What a crash leaves in a store: folders in the making, and texts that were not yet renamed."""

import shutil
from collections.abc import Iterable
from pathlib import Path

UNFINISHED = (".*.json.*", ".*.yaml.*", "schemas/.*")
"""Of texts that are replaced in one step."""


def leftovers(base: Path, staging: Path, unfinished: Iterable[Path]) -> list[Path]:
    """Everything that is left.

    Args:
        base: The store's folder.
        staging: Versions in the making are below it.
        unfinished: Files that pointers are written to first.
    """
    staged = [*staging.iterdir()] if staging.is_dir() else []
    staged += [path for pattern in UNFINISHED for path in base.glob(pattern)]
    return staged + [path for path in unfinished if path.exists()]


def remove(path: Path) -> None:
    """Remove one of them."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()
