"""The format of a store: a number beside its versions, so that a program knows what it can read.

The file `format` in BASE_PATH holds it. A store without one was made by 0.1.0 or before, and is of
format 0. A store of an earlier format is migrated by the first process that may write to it; a
store of a later one is refused, as what is in it may mean what this program does not know.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from policy_server.errors import StoreFailed
from policy_server.files import write_atomically
from policy_server.store.copying import copy_file
from policy_server.store.disk import sync

FILE = "format"
Migration = Callable[[Path], None]


def format_of(base: Path) -> int:
    """The format of a store.

    Raises:
        StoreFailed: The number cannot be read.
    """
    path = base / FILE
    try:
        text = path.read_text("ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    if not (text.isascii() and text.isdigit()):
        raise StoreFailed(
            f"{path} is damaged: it holds {text[:20]!r} and not the number of the store's format. "
            "Bring the file back from a copy of the store."
        )
    return int(text)


def check_format(base: Path) -> None:
    """Make sure that this program knows the format of a store.

    Raises:
        StoreFailed: It is of a later format, or its number cannot be read; with the way back.
    """
    _known_format(base, FORMAT)


def is_of_today(base: Path) -> bool:
    """Nothing is to be migrated."""
    return format_of(base) == FORMAT


def migrate(base: Path, migrations: Sequence[Migration] | None = None) -> None:
    """Bring a store to the format of this release, step by step; the caller holds its lock.

    A step that was interrupted is done again.

    Args:
        base: The store's folder.
        migrations: What makes each format of the one before; by default those of this release.

    Raises:
        StoreFailed: See check_format.
        OSError: It cannot be written to.
    """
    steps = MIGRATIONS if migrations is None else migrations
    found = _known_format(base, len(steps))
    for number in range(found, len(steps)):
        steps[number](base)
        write_atomically(base / FILE, f"{number + 1}\n")


def _known_format(base: Path, known: int) -> int:
    found = format_of(base)
    if found > known:
        raise StoreFailed(
            f"{base} is a store of format {found}, and this release knows formats up to {known}: "
            "a later release has written to it. Start that release, or set BASE_PATH to a copy of "
            "the store from before the upgrade, or to a new folder and publish the policy there. "
            "Nothing was changed."
        )
    return found


def _part_shared_files(base: Path) -> None:
    """Give each version files of its own: before, versions had hard links to files of others."""
    for path in sorted((base / "versions").glob("*/**/*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1:
            copy = path.with_name(f".{path.name}.copy")
            copy_file(path, copy)
            sync(copy)
            copy.replace(path)


MIGRATIONS: tuple[Migration, ...] = (_part_shared_files,)
"""At each place what makes the next format of the one of that number."""
FORMAT = len(MIGRATIONS)
"""Of the stores that this release writes."""
