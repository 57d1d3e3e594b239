"""Objects of S3, GCS or Azure: the one place that knows the library which asks for them.

Credentials, regions and endpoints are the providers' own environment variables. The library runs
threads of its own: a process that forks afterwards leaves its children without them, so it is
imported with the first request, which no master makes.
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from policy_server.errors import StoreUnavailable
from policy_server.store.elsewhere import Elsewhere

PIECE_BYTES = 8_000_000
"""Large objects come and go in pieces, each a request."""
PIECES_AT_A_TIME = 4
RETRIES, READS = 4, 3
T = TypeVar("T")
MOST_CAUSE_CHARACTERS = 300
QUERY = re.compile(r"\?[^\s)]+")
"""Of an address; Azure's signatures stand there."""
NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|The specified bucket does not exist")


class Conflict(Exception):
    """Somebody else has written meanwhile."""


class Bucket:
    """What lies below one address.

    Args:
        place: Where.
    """

    def __init__(self, place: Elsewhere) -> None:
        self._place = place
        self._clients: dict[tuple[float, int], Any] = {}

    def read(
        self, key: str, known: str | None = None, seconds: float | None = None
    ) -> tuple[bytes, str] | None:
        """An object and its tag; None where there is none.

        Args:
            key: Of the object.
            known: A tag; where the object still has it, the content is not sent, and is b"".
            seconds: Most that this may take, without a second try; by default those of the place.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import exceptions, get

        client = self._client() if seconds is None else self._client(seconds, retries=0)

        def read() -> tuple[bytes, str] | None:
            try:
                found = get(client, key, options={"if_none_match": known} if known else {})
                return bytes(found.bytes()), found.meta["e_tag"] or ""
            except exceptions.NotModifiedError:
                return b"", known or ""
            except FileNotFoundError as error:
                if NO_BUCKET.search(str(error)):
                    raise
                return None

        return self._tried(f"read {key}", read, READS if seconds is None else 1)

    def replace(self, key: str, content: bytes, tag: str | None) -> str:
        """Write a small object if it still has a tag, or, for None, if there is none yet.

        Returns:
            Its new tag.

        Raises:
            Conflict: It has another one by now.
            StoreUnavailable: Nobody answers, or not rightly; it may have been written.
        """
        from obstore import exceptions, put

        with self._asking(f"write {key}"):
            try:
                mode: Any = "create" if tag is None else {"e_tag": tag}
                return put(self._client(), key, content, mode=mode)["e_tag"] or ""
            except (exceptions.PreconditionError, exceptions.AlreadyExistsError) as error:
                raise Conflict from error

    def upload(self, key: str, path: Path) -> None:
        """Write an object that nobody else writes; it is there as a whole, or not at all.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import put

        with self._asking(f"write {key}"):
            put(
                self._client(),
                key,
                path,
                chunk_size=PIECE_BYTES,
                max_concurrency=PIECES_AT_A_TIME,
            )

    def download(self, key: str, path: Path, size: int, check: Callable[[], None]) -> None:
        """Write an object into a file, which may have the beginning of it already.

        Args:
            key: Of the object.
            path: The file.
            size: Bytes of the object.
            check: Called before each piece; what it raises ends this.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import get_range

        with path.open("ab") as file:
            while (have := file.tell()) < size:
                check()
                length = min(PIECE_BYTES, size - have)

                def read(start: int = have, length: int = length) -> bytes:
                    return bytes(get_range(self._client(), key, start=start, length=length))

                piece = self._tried(f"read {key}", read, READS)
                if len(piece) != length:
                    detail = f"{key} ends after {have + len(piece)} of {size} bytes"
                    raise StoreUnavailable(self._words(detail))
                file.write(piece)
                file.flush()

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is removed already.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import delete

        with self._asking(f"remove {key}"), contextlib.suppress(FileNotFoundError):
            delete(self._client(), key)

    def folders(self, prefix: str) -> list[str]:
        """Names of what has objects below it, right below a prefix.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import list_with_delimiter

        with self._asking(f"list {prefix}"):
            found = list_with_delimiter(self._client(), f"{prefix}/")["common_prefixes"]
        return [each.rstrip("/").rpartition("/")[2] for each in found]

    def older(self, prefix: str, seconds: float) -> list[str]:
        """Keys of objects that were written so many seconds ago, or before.

        Raises:
            StoreUnavailable: Nobody answers, or not rightly.
        """
        from obstore import list as pages

        before = datetime.fromtimestamp(time.time() - seconds, UTC)
        with self._asking(f"list {prefix}"):
            found = [each for page in pages(self._client(), f"{prefix}/") for each in page]
        return [each["path"] for each in found if each["last_modified"] <= before]

    def _tried(self, what: str, read: Callable[[], T], times: int) -> T:
        """Read so often: within a body, the library does not try again."""
        end = time.monotonic() + self._place.seconds
        for _ in range(times - 1):
            with contextlib.suppress(StoreUnavailable), self._asking(what):
                return read()
            if time.monotonic() > end:
                break
        with self._asking(what):
            return read()

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Word what goes wrong while the block asks."""
        from obstore import exceptions

        try:
            yield
        except (exceptions.BaseError, FileNotFoundError, PermissionError, ValueError) as error:
            cause = QUERY.sub("", str(error).partition("\n\nDebug source")[0])
            told = " ".join(cause.split())[:MOST_CAUSE_CHARACTERS]
            raise StoreUnavailable(self._words(f"cannot {what}: {told}")) from error

    def _words(self, detail: str) -> str:
        return f"The object storage {self._place.address} {detail.rstrip('.')}."

    def _client(self, seconds: float | None = None, retries: int = RETRIES) -> Any:
        wanted = (seconds or self._place.seconds, retries)
        if wanted not in self._clients:
            from obstore.store import from_url

            limit = timedelta(seconds=wanted[0])
            with self._asking("be found by its settings"):
                self._clients[wanted] = from_url(
                    self._place.address,
                    # Whether TLS is spoken, the endpoint says, which is https where none is set.
                    client_options={
                        "allow_http": True,
                        "timeout": limit,
                        "connect_timeout": limit,
                    },
                    retry_config={
                        "max_retries": retries,
                        "retry_timeout": limit * 2,
                        "backoff": {
                            "init_backoff": timedelta(milliseconds=50),
                            "max_backoff": timedelta(seconds=1),
                            "base": 2,
                        },
                    },
                )
        return self._clients[wanted]
