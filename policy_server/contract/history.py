"""Every schema that was served, by its hash: a client of an old one is told what changed."""

import logging
import re
from pathlib import Path

from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import SchemaError
from policy_server.files import write_atomically

HASH = re.compile(r"[0-9a-f]{64}")

logger = logging.getLogger(__name__)


class SchemaHistory:
    """Schemas below `BASE_PATH/schemas`, each in a file that is called after its digest.

    Args:
        base_path: BASE_PATH.
    """

    def __init__(self, base_path: Path) -> None:
        self._folder = base_path / "schemas"

    def save(self, schema: ObservationSchema) -> None:
        """Save a schema, unless it is saved already; where that cannot be, the log says so."""
        path = self._path(schema.digest)
        if path.exists():
            return
        try:
            write_atomically(path, schema.text)
        except OSError as error:
            logger.warning(
                "clients of this schema will not be told what a later one changes: it cannot be "
                "saved as %s: %s",
                path,
                error.strerror,
            )

    def find(self, digest: str) -> ObservationSchema | None:
        """The schema of that digest; None where there never was one, or it cannot be read."""
        if not HASH.fullmatch(digest):
            return None
        try:
            return read_schema(self._path(digest).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, SchemaError):
            return None

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.yaml"
