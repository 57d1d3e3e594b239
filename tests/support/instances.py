"""Values that come close to what a Swagger 2.0 schema asks for: about half of them are valid."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

MOST_ITEMS = 4
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, -1, 0.5, 9e9 + 0.5, "", "text", [], {}, [None]]
)
"""No whole number with a point, of which the two JSON schemas think differently."""
ODD = st.sampled_from([*[False] * 50, True])
"""Whether something is not as it should be."""


@st.composite
def instances(draw: st.DrawFn, schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Any:
    """A value for a schema.

    Args:
        draw: Of hypothesis.
        schema: Of Swagger 2.0.
        definitions: What it may refer to.
    """
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if draw(ODD):
        return draw(JUNK)
    if schema.get("x-nullable") and draw(st.booleans()):
        return None
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        sent = {name for name in schema.get("required", ()) if not draw(ODD)}
        sent |= {name for name in properties if draw(st.booleans())}
        value = {
            name: draw(instances(properties.get(name, {}), definitions)) for name in sorted(sent)
        }
        return {**value, **({"unknown": 1} if draw(ODD) else {})}
    if kind == "array":
        least = schema.get("minItems", 0)
        size = draw(st.integers(least, min(schema.get("maxItems", least + 2), least + MOST_ITEMS)))
        size += draw(st.sampled_from([-1, 1])) if draw(ODD) else 0
        return [draw(instances(schema["items"], definitions)) for _ in range(max(size, 0))]
    if kind in ("integer", "number"):
        number = draw(_numbers(schema, beyond=draw(ODD)))
        return int(number) if kind == "integer" else number + draw(st.sampled_from([0.25, 0.0]))
    return draw({"string": st.text(max_size=3), "boolean": st.booleans()}.get(kind or "", JUNK))


def _numbers(schema: Mapping[str, Any], *, beyond: bool) -> st.SearchStrategy[float]:
    """Numbers at the bounds, and a little within or beyond."""
    step = -1 if beyond else 1
    ends = [
        schema[bound] + way
        for bound, way in (("minimum", step), ("maximum", -step))
        if bound in schema
    ]
    at = [schema[bound] for bound in ("minimum", "maximum") if bound in schema]
    return st.sampled_from([*ends, *ends, *at] or [0, -3, 7])
