"""Versions on disk: immutable once committed, activated by one atomic rename.

    BASE_PATH/
      versions/<name>/     a folder for each part, what the build made of them, manifest.json
      active               name of the version that decides
      candidate            name of the version that waits for further parts
      staging/             versions in the making; what a crash leaves there is swept away
      lock                 held while a version is made

The store never sees a request and never a policy: parts are folders to it.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from policy_server.errors import VersionConflict, VersionNotFound

MANIFEST = "manifest.json"
HASH_CHARACTERS = 8


@dataclass(frozen=True)
class Manifest:
    """What is known of a version.

    Attributes:
        name: A running number and the beginning of the hash of its parts.
        created: Seconds since 1970.
        contract: Digest of the contract that it was proven against.
        parts: Names of its parts.
        checks: What its build found out.
        complete: It can serve.
    """

    name: str
    created: float
    contract: str
    parts: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]
    complete: bool


class Store:
    """The versions below one folder.

    Args:
        base_path: The folder; made when something is first written.
    """

    def __init__(self, base_path: Path) -> None:
        self._base = base_path
        self._versions = base_path / "versions"
        self._staging = base_path / "staging"

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store for the making of one version; others wait, in all processes."""
        self._base.mkdir(parents=True, exist_ok=True)
        with (self._base / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever holds the lock is alone: what lies in staging was left by a crash.
            shutil.rmtree(self._staging, ignore_errors=True)
            yield

    @contextlib.contextmanager
    def stage(self) -> Iterator[Path]:
        """An empty folder to make a version in; gone afterwards unless it was committed."""
        self._staging.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._staging))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def copy_parts(self, name: str, parts: Iterable[str], folder: Path) -> None:
        """Give a version in the making parts of another, as hard links: nobody writes to them."""
        for part in parts:
            shutil.copytree(self.folder(name) / part, folder / part, copy_function=os.link)

    def commit(
        self,
        folder: Path,
        *,
        contract: str,
        parts: Iterable[str],
        checks: Iterable[dict[str, Any]],
        complete: bool,
    ) -> Manifest:
        """Make a staged folder a version, for good.

        Returns:
            Its manifest. The version is neither active nor the candidate yet.
        """
        number = max(map(_number, self._folders()), default=0) + 1
        parts = tuple(sorted(parts))
        name = f"{number}-{_hash(folder, parts)}"
        manifest = Manifest(name, time.time(), contract, parts, tuple(checks), complete)
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2), encoding="utf-8")
        for path in [*folder.rglob("*"), folder]:
            _sync(path)
        self._versions.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        folder.rename(self._versions / name)
        _sync(self._versions)
        return manifest

    def activate(self, name: str) -> None:
        """Let a version decide from now on; nothing is a candidate any more.

        Raises:
            VersionNotFound: There is no such version.
            VersionConflict: It lacks parts.
        """
        if not self.manifest(name).complete:
            raise VersionConflict(f"Version {name} lacks parts and cannot decide.")
        self._point("active", name)
        (self._base / "candidate").unlink(missing_ok=True)

    def deactivate(self) -> None:
        """Let no version decide from now on."""
        (self._base / "active").unlink(missing_ok=True)
        _sync(self._base)

    def await_parts(self, name: str) -> None:
        """Let a version wait for the parts that it lacks."""
        self._point("candidate", name)

    def active(self) -> str | None:
        """Name of the version that decides, if there is one."""
        return self._read("active")

    def candidate(self) -> str | None:
        """Name of the version that waits for further parts, if there is one."""
        return self._read("candidate")

    def names(self) -> list[str]:
        """Names of all versions, oldest first."""
        names = [name for name in self._folders() if (self.folder(name) / MANIFEST).is_file()]
        return sorted(names, key=_number)

    def _folders(self) -> list[str]:
        """Everything among the versions, damaged ones too: their numbers are taken."""
        return [path.name for path in self._versions.iterdir()] if self._versions.is_dir() else []

    def folder(self, name: str) -> Path:
        """Where a version lies."""
        return self._versions / name

    def manifest(self, name: str) -> Manifest:
        """What is known of a version.

        Raises:
            VersionNotFound: There is no such version, or its manifest is damaged.
        """
        try:
            fields = json.loads((self.folder(name) / MANIFEST).read_text(encoding="utf-8"))
            return Manifest(
                **{**fields, "parts": tuple(fields["parts"]), "checks": tuple(fields["checks"])}
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise VersionNotFound(f"There is no sound version {name!r}: {error}") from error

    def _read(self, pointer: str) -> str | None:
        try:
            return (self._base / pointer).read_text("utf-8", errors="replace").strip() or None
        except FileNotFoundError:
            return None

    def _point(self, pointer: str, name: str) -> None:
        temporary = self._base / f"{pointer}.new"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._base / pointer)
        _sync(self._base)


def _number(name: str) -> int:
    head = name.split("-", maxsplit=1)[0]
    return int(head) if head.isdigit() else 0


def _hash(folder: Path, parts: Iterable[str]) -> str:
    """Over names and contents of the parts' files."""
    digest = hashlib.sha256()
    for part in parts:
        for path in sorted((folder / part).rglob("*")):
            if path.is_file():
                digest.update(str(path.relative_to(folder)).encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()[:HASH_CHARACTERS]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
