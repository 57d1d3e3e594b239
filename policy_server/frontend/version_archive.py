"""What a version's archive has of its golden cases: read piece by piece, within limits."""

import tempfile
import zipfile
import zlib
from typing import IO

from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as NoMoreTime

from policy_server.errors import RequestFailed
from policy_server.frontend.client import Client

CHUNK_BYTES, MEGABYTE = 1 << 16, 1 << 20
MAX_ARCHIVE_MEGABYTES, MAX_CASES_MEGABYTES = 256, 16
"""What is fetched at most for the golden cases, and what these may be."""
SECONDS = 60.0
"""That all of it may take; the archive is made when it is asked for."""
FOLDER = "golden/"
"""Where golden cases lie in a version."""
BROKEN = (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError, OSError)
"""What reading an archive that is none may raise."""
REMEDY = "Hand the file `golden.jsonl` over instead."


def golden_of(client: Client, version: str, seconds: float = SECONDS) -> bytes:
    """The golden cases of a version, as they were uploaded.

    Args:
        client: Of somebody who may manage.
        version: Has some.
        seconds: That all of it may take.

    Raises:
        RequestFailed: The server does not answer in time, refuses, breaks off, or gives more than
            is taken.
    """
    with tempfile.TemporaryFile() as file:
        _fetch(client, version, file, seconds)
        return _cases(file, version)


def _fetch(client: Client, version: str, file: IO[bytes], seconds: float) -> None:
    """Write the archive into a file, and read no more of it than is allowed."""
    named = f"The archive of version {version}"
    answer = client.stream("version_archive", seconds, version=version)
    taken, said = 0, answer.headers.get("Content-Length", "")
    try:
        _check_size(named, int(said[:20]) if said.isdecimal() else 0)
        # What has come so far, and not a whole chunk: a server may trickle.
        while chunk := answer.raw.read1(CHUNK_BYTES, decode_content=True):
            taken += len(chunk)
            _check_size(named, taken)
            file.write(chunk)
    except NoMoreTime as error:
        raise RequestFailed(
            f"{named} did not come within {seconds:g} seconds, but {taken:,} bytes of it. "
            f"Ask again. {REMEDY}"
        ) from error
    except (HTTPError, OSError) as error:
        raise RequestFailed(
            f"{named} cannot be read: {taken:,} bytes came ({error}). Ask again. {REMEDY}"
        ) from error
    finally:
        answer.close()


def _check_size(named: str, count: int) -> None:
    if count > MAX_ARCHIVE_MEGABYTES * MEGABYTE:
        raise RequestFailed(
            f"{named} is larger than {MAX_ARCHIVE_MEGABYTES} MB: it is not read here. {REMEDY}"
        )


def _cases(file: IO[bytes], version: str) -> bytes:
    """The golden cases in an archive: a zip behind a header."""
    named = f"The archive of version {version}"
    try:
        with zipfile.ZipFile(file) as archive:
            members = [each for each in archive.namelist() if each.startswith(FOLDER)]
            if not members:
                raise RequestFailed(f"Version {version} has no golden cases any more.")
            with archive.open(members[0]) as source:
                content = source.read(MAX_CASES_MEGABYTES * MEGABYTE + 1)
    except BROKEN as error:
        raise RequestFailed(f"{named} is cut, or none: {error}. Ask again. {REMEDY}") from error
    if len(content) > MAX_CASES_MEGABYTES * MEGABYTE:
        raise RequestFailed(
            f"The golden cases of version {version} are larger than {MAX_CASES_MEGABYTES} MB. "
            f"Hand over a part of `golden.jsonl` instead."
        )
    return content
