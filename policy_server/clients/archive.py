"""Zips that are the same byte for byte where their files are."""

import io
import zipfile
from collections.abc import Mapping

BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The first time that a zip can tell."""
MODE = 0o644 << 16


def write_zip(files: Mapping[str, bytes]) -> bytes:
    """A zip of files by their paths: sorted, without times, readable by all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(path, BEGINNING)
            entry.external_attr = MODE
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is
            archive.writestr(entry, content)
    return buffer.getvalue()


def read_zip(content: bytes) -> dict[str, bytes]:
    """The files of a zip by their paths."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
