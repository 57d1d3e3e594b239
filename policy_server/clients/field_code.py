"""What code of R and TypeScript holds of the fields of an observation: values, and their bounds.

TypeScript spells values as JSON does.
"""

import json
from collections.abc import Mapping
from typing import Any

BOUNDS = frozenset(
    {
        *("type", "items", "enum", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    }
)


def in_r(value: Any) -> str:
    """A value as code of R."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, list):
        nested = any(isinstance(item, list) for item in value)
        return f"{'list' if nested or not value else 'c'}({', '.join(map(in_r, value))})"
    return json.dumps(value)


def bounds_of(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of a field that say which values there may be."""
    return {
        name: bounds_of(value) if name == "items" else value
        for name, value in keywords.items()
        if name in BOUNDS
    }
