"""A version as one file: a header that is signed, and a zip of all that the version's folder has.

The header has HEADER.size bytes: MAGIC, the number of the format, the bytes of the zip, the public
key, and the signature by it of the three before and of the zip's SHA-256. Members of the zip are
stored as they are, in order, without times: one version makes one and the same file.
"""

import hashlib
import os
import shutil
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from policy_server.errors import UploadRejected
from policy_server.resources import COMMAND
from policy_server.serving.server_key import (
    PUBLIC_BYTES,
    SIGNATURE_BYTES,
    ServerKey,
    fingerprint_of,
    is_signed,
)

MAGIC = b"\x89PSV\r\n\x1a\n"
"""As PNG's: a copy that took it for a text shows."""
FORMAT = 1
_HEADER = struct.Struct(f">8sIQ{PUBLIC_BYTES}s{SIGNATURE_BYTES}s")
_SIGNED = struct.Struct(f">8sIQ{PUBLIC_BYTES}s32s")
HEADER_BYTES = _HEADER.size
CHUNK_BYTES = 1 << 20
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can say."""
READABLE = 0o100644


@dataclass(frozen=True)
class Signed:
    """What is known of an archive whose signature is that of its key.

    Attributes:
        fingerprint: Of that key.
        sha256: Of the whole file.
    """

    fingerprint: str
    sha256: bytes


def write_archive(sink: BinaryIO, folder: Path, paths: Iterable[str], key: ServerKey) -> Signed:
    """Write files of a folder as an archive.

    Args:
        sink: Empty; it can be read, too.
        folder: Of the version.
        paths: Of its files, below the folder.
        key: Signs it.
    """
    sink.write(bytes(HEADER_BYTES))
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(paths):
            member = zipfile.ZipInfo(path, LONG_AGO)
            member.external_attr = READABLE << 16
            member.file_size = (folder / path).stat().st_size
            with (folder / path).open("rb") as source, archive.open(member, "w") as target:
                shutil.copyfileobj(source, target, CHUNK_BYTES)
    return sign_archive(sink, key)


def sign_archive(sink: BinaryIO, key: ServerKey) -> Signed:
    """Write the header of an archive of which all else, beyond HEADER_BYTES, is there."""
    length, public = _length_of(sink) - HEADER_BYTES, key.public
    signature = key.sign(_SIGNED.pack(MAGIC, FORMAT, length, public, _digest(sink, HEADER_BYTES)))
    sink.seek(0)
    sink.write(_HEADER.pack(MAGIC, FORMAT, length, public, signature))
    sink.flush()
    return Signed(fingerprint_of(public), _digest(sink, 0))


def check_archive(file: BinaryIO) -> Signed:
    """Make sure that an archive is whole, and as its key has signed it; whose that is, it tells.

    Raises:
        UploadRejected: It is not, or is of a format that this release does not know.
    """
    file.seek(0)
    head = file.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise UploadRejected(_not_an_archive(head))
    if len(head) < HEADER_BYTES:
        raise _cut(len(head), f"{HEADER_BYTES} or more")
    _, number, length, public, signature = _HEADER.unpack(head)
    if number > FORMAT:
        raise UploadRejected(
            f"The archive is of format {number}, and this release knows {FORMAT}: a later one has "
            "made it. Upgrade this server, or publish the policy's folder here."
        )
    found = _length_of(file) - HEADER_BYTES
    if found < length:
        raise _cut(found + HEADER_BYTES, str(length + HEADER_BYTES))
    signed = _SIGNED.pack(MAGIC, number, length, public, _digest(file, HEADER_BYTES))
    if found > length or not is_signed(public, signature, signed):
        raise UploadRejected(
            "The archive is not as its server has signed it: it was changed since, or damaged on "
            "its way. Copy it again."
        )
    return Signed(fingerprint_of(public), _digest(file, 0))


def _not_an_archive(head: bytes) -> str:
    if head and MAGIC.startswith(head):
        return f"The archive is cut: {len(head)} bytes are there. Copy it again."
    if head.startswith(MAGIC[:4]):
        return "The archive was copied as a text, which changes it: copy it again, as it is."
    return f"This is no archive of a version: `{COMMAND} pull URL VERSION --output FILE` makes one."


def _cut(found: int, wanted: str) -> UploadRejected:
    return UploadRejected(
        f"The archive is cut: {found} of {wanted} bytes are there. Copy it again."
    )


def _length_of(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _digest(file: BinaryIO, begin: int) -> bytes:
    """SHA-256 of a file from somewhere on."""
    file.seek(begin)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.digest()
