"""Archives of versions from and to servers that run, here or elsewhere."""

import time
from collections.abc import Callable
from typing import BinaryIO

import requests
from requests.auth import AuthBase

from policy_server.contract.operations import ARCHIVE, OPERATIONS
from policy_server.errors import RequestFailed, UploadTooLarge
from policy_server.serving.version_report import VersionReport
from policy_server.web.limits import BYTES_PER_MEGABYTE
from policy_server.web.remote import CONNECT_SECONDS, api_of, asked, refusal, uploaded

GIVEN, TAKES = OPERATIONS["version_archive"], OPERATIONS["upload_archive"]
CHUNK_BYTES = 1 << 16
SILENCE_SECONDS = 300.0
"""Before an archive, which is made first, and within it."""


def fetch_archive(
    url: str, version: str, credentials: AuthBase, sink: BinaryIO, megabytes: int
) -> None:
    """Fetch the archive of a version.

    Args:
        url: Where the server is; with or without `/api`.
        version: Its name there.
        credentials: Of somebody who may manage there.
        sink: Where it goes.
        megabytes: The most that is taken.

    Raises:
        RequestFailed: The server cannot be reached, refuses, breaks off, or is too slow.
        UploadTooLarge: It is longer than that.
    """
    address = f"{api_of(url)}{GIVEN.path_with(version=version)}"
    deadline = time.monotonic() + GIVEN.seconds
    waits = (CONNECT_SECONDS, SILENCE_SECONDS)
    with asked(requests.get, address, auth=credentials, timeout=waits, stream=True) as answer:
        if answer.status_code != requests.codes.ok:
            raise refusal(answer, address)
        if answer.headers.get("Content-Type", "") != ARCHIVE:
            raise RequestFailed(f"{address} is no policy server: it answered with no archive.")
        taken = 0
        try:
            for chunk in answer.iter_content(CHUNK_BYTES):
                taken += len(chunk)
                if taken > megabytes * BYTES_PER_MEGABYTE:
                    raise UploadTooLarge(
                        f"The archive of version {version} is larger than {megabytes} MB: set "
                        "POLICY_SERVER_UPLOAD_MEGABYTES to more."
                    )
                if time.monotonic() > deadline:
                    raise RequestFailed(
                        f"{address} sent {taken} bytes within {GIVEN.seconds:g} seconds, and more "
                        "was to come. Nothing was changed."
                    )
                sink.write(chunk)
        except requests.RequestException as error:
            raise RequestFailed(
                f"{address} broke off after {taken} bytes: {error}. Nothing was changed: try again."
            ) from error


def send_archive(
    url: str,
    archive: BinaryIO,
    credentials: AuthBase,
    activate: bool,
    progress: Callable[[str], None],
) -> VersionReport:
    """Bring the archive of a version to a server.

    Args:
        url: Where the server is; with or without `/api`.
        archive: Of the version.
        credentials: Of somebody who may manage there.
        activate: Let it decide there.
        progress: Told what the server does, a few words at a time.

    Raises:
        UploadRejected: The server refused the archive; nothing was changed.
        RequestFailed: It cannot be reached, or refused the credentials.
    """
    files = {"archive_file": ("version.policy", archive)}
    query = {"activate": str(activate).lower()}
    return uploaded(url, TAKES, files, credentials, progress, query)
