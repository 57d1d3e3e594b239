"""What a confined process may do: one profile for each kind of uploaded things that are run."""

import importlib.util
import json
import os
import site
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from policy_server.sandbox.limits import ProcessLimits

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64"),
    *("/usr/share/zoneinfo", "/usr/share/locale", "/usr/share/i18n", "/etc/localtime"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/timezone"),
    *("/dev/urandom", "/dev/random", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"),
    *("/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu", "/sys/devices/system/node"),
    "/sys/kernel/mm/transparent_hugepage",
)
"""What programs of this machine share: libraries, languages and time zones, what the machine is."""
NOWHERE = "/dev/null"
"""May be written to."""
ITSELF = "/proc/self"
"""TensorFlow ends where it cannot read what the kernel says of its process."""


@dataclass(frozen=True)
class Profile:
    """What a process may do; everything else is refused, as far as the kernel can.

    None has a network, reaches another process, or changes who owns what.

    Attributes:
        readable: Files and folders, beside the interpreter and its libraries.
        writable: Folders in which files may be made and removed, and files that may be changed.
        writes_temporary_files: It has an empty folder of its own for them, until it ends.
        starts_threads: It may start threads.
        starts_processes: It may start processes and threads, with the same profile or a stricter
            one, and end them.
        megabytes: Of memory of its own, counted by the kernel; None where it is watched from
            outside.
        files: Open at once; None where the kernel's own limit holds.
        file_bytes: Of each file that it writes; None where they are not limited.
        confined: Anything is refused at all; not where the operator wants uploaded code to run in
            the workers themselves.
    """

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    writes_temporary_files: bool = False
    starts_threads: bool = False
    starts_processes: bool = False
    megabytes: int | None = None
    files: int | None = None
    file_bytes: int | None = None
    confined: bool = True

    def as_json(self) -> str:
        """The profile as an argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """The profile that `as_json` gave."""
        fields = json.loads(text)
        lists = {name: tuple(fields[name]) for name in ("readable", "writable")}
        return cls(**{**fields, **lists})


def preprocessor_profile(file: Path, limits: ProcessLimits) -> Profile:
    """Of an uploaded preprocessor: it reads its own file, and computes."""
    return Profile(
        (str(file),), megabytes=limits.megabytes, files=limits.files, confined=limits.confined
    )


def engine_profile(folder: Path, megabytes: int) -> Profile:
    """Of an engine that runs a graph which is more than arithmetic: it reads the model's folder."""
    return Profile(
        (str(folder), ITSELF),
        writes_temporary_files=True,
        starts_threads=True,
        megabytes=megabytes,
    )


def build_profile(
    folder: Path, writable: tuple[Path, ...], disk_bytes: int, *, confined: bool = True
) -> Profile:
    """Of a build: it reads a folder, writes into parts of it, and starts preprocessors.

    Its memory, and all its files together, are watched from outside.
    """
    return Profile(
        (str(folder), ITSELF),
        tuple(map(str, writable)),
        writes_temporary_files=True,
        starts_processes=True,
        file_bytes=disk_bytes,
        confined=confined,
    )


def interpreter_paths() -> list[str]:
    """Files and folders that this interpreter and its libraries are read from.

    A checkout of this package is none of them: it may hold secrets, and all that is stored.
    """
    numpy = importlib.util.find_spec("numpy")
    installed = [] if numpy is None else [str(Path(str(numpy.origin)).parents[1])]
    imported = [path for path in sys.path if path and Path(path).resolve() != ROOT]
    loaded = [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    prefixes = {sys.prefix, sys.base_prefix}
    own = [str(Path(prefix) / name) for prefix in prefixes for name in ("lib", "pyvenv.cfg")]
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [
        str(ROOT / "policy_server"),
        sys.executable,
        *own,
        *installed,
        *imported,
        *loaded,
        *user,
        *LIBRARIES,
    ]
