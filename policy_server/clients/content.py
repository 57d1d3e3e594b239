"""What SDKs are made of, as a name of the folder that keeps them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from policy_server.contract.operations import HEADERS
from policy_server.contract.specification import Specification


def content_of(specification: Specification, schema_digest: str, changes: Sequence[object]) -> str:
    """A hash of the contract and of the code of this room: with other content SDKs are others."""
    given = [specification, dict(HEADERS), changes]
    meaning = hashlib.sha256(json.dumps(given).encode())
    meaning.update(schema_digest.encode())
    here = Path(__file__).parent
    for path in sorted(here.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            meaning.update(str(path.relative_to(here)).encode() + path.read_bytes())
    return meaning.hexdigest()[:32]
