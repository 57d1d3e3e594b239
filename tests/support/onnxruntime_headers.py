"""ONNX Runtime as C and C++ programs use it: headers of a Debian package, the library of the wheel.

The wheel that serving needs has no headers. Debian 13's package of them has 85 kB; its API is older
than that of the wheel's library, which keeps it. It is fetched by apt, which checks it, into a
folder outside of the checkout, by lists of its own: those of the machine may be another Debian's.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

import onnxruntime

from tests.clients.toolchains import run
from tests.support.kept import kept

PACKAGE = "libonnxruntime-dev=1.21.0+dfsg-1"
SHA256 = "14f7d959d5deacbcf1504830d4189f91fc67382b399ed9ae9d3aa9c4050ced08"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCE = f"deb [arch=amd64 signed-by={KEYS}] http://deb.debian.org/debian trixie main\n"
HEADERS = "usr/include/onnxruntime"


def onnxruntime_folder(folder: Path) -> Path:
    """A folder with `include` and `lib`, as ONNX Runtime's own releases have them."""
    made = folder / "onnxruntime"
    (made / "lib").mkdir(parents=True)
    (made / "include").symlink_to(_headers())
    (library,) = (Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (made / "lib" / name).symlink_to(library)
    return made


def _headers() -> Path:
    """The headers, fetched once for all checkouts."""

    def fetch(made: Path) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            package = _fetched(Path(temporary))
            run(["dpkg-deb", "-x", package, "unpacked"], Path(temporary))
            shutil.copytree(Path(temporary) / "unpacked" / HEADERS, made, dirs_exist_ok=True)

    return kept(f"onnxruntime-headers-{SHA256[:16]}", fetch)


def _fetched(folder: Path) -> Path:
    (folder / "sources.list").write_text(SOURCE)
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    places = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": 3,
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in places.items())]
    run([*apt, "update"], folder)
    run([*apt, "download", PACKAGE], folder)
    (package,) = folder.glob("*.deb")
    assert hashlib.sha256(package.read_bytes()).hexdigest() == SHA256
    return package
