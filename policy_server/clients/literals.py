"""Values of an observation as R spells them; TypeScript spells them as JSON does."""

import json
from typing import Any

MOST_CHARACTERS = 1_500
"""Of an observation in an example; a longer one is read from its file."""


def in_r(value: Any) -> str:
    """A value as code of R."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, list):
        nested = any(isinstance(item, list) for item in value)
        return f"{'list' if nested or not value else 'c'}({', '.join(map(in_r, value))})"
    return json.dumps(value)
