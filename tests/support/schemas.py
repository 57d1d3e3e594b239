"""Random schemas in both dialects, made from a description of their own."""

import copy
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st

from policy_server.contract.reading import UNSPEAKABLE, read_schema

Keywords = dict[str, Any]

COMPACT_TYPES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "str",
    "array": "list",
}
SNAKE_CASE = {
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "minItems": "min_items",
    "maxItems": "max_items",
}
OF_ITEMS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "format")


@dataclass(frozen=True)
class Description:
    """A schema before it is written down.

    Attributes:
        properties: Keywords of each field, spelt as Swagger does.
        required: Names of the fields that must be sent.
        parameters: What it says of actions.
    """

    properties: dict[str, Keywords]
    required: frozenset[str]
    parameters: dict[str, bool]

    def swagger(self) -> str:
        definition: Keywords = {"type": "object", "properties": self.properties}
        if self.required:
            definition["required"] = sorted(self.required)
        return to_yaml({"Observation": definition, "parameters": self.parameters})

    def compact(self, *, snake_case: bool, lists: bool) -> str:
        fields = {}
        for name, keywords in self.properties.items():
            fields[name] = _compact(keywords, snake_case=snake_case, lists=lists)
            if name not in self.required:
                fields[name]["required"] = False
        return to_yaml({"observations": fields, "parameters": self.parameters})

    def expected_properties(self) -> dict[str, Keywords]:
        """What the fields mean, as JSON schemas; numbers are doubles unless the file says."""
        return {name: _with_format(keywords) for name, keywords in self.properties.items()}


OURS = ("depends_on",)
"""Keywords that Swagger does not have, which the specification has as extensions."""


def assert_read_unchanged(text: str) -> None:
    """A file in the Swagger dialect means what it says, and nothing in it was ignored."""
    given = yaml.safe_load(text)["Observation"]
    schema = read_schema(text)
    assert schema.text == text
    assert schema.warnings == ()
    assert list(schema.fields) == list(given["properties"])
    assert schema.required == set(given["required"])
    said = {
        name: {
            f"x-{key}".replace("_", "-") if key in OURS else key: each for key, each in of.items()
        }
        for name, of in given["properties"].items()
    }
    assert schema.as_json_schema()["properties"] == said


def to_yaml(document: object) -> str:
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _compact(keywords: Keywords, *, snake_case: bool, lists: bool) -> Keywords:
    written = copy.deepcopy(keywords)
    written["type"] = COMPACT_TYPES[keywords["type"]]
    items = written.pop("items", None)
    if (
        items is not None
        and lists
        and items["type"] != "array"
        and set(items)
        <= {
            "type",
            *OF_ITEMS,
        }
    ):
        written["type"] = f"List[{COMPACT_TYPES[items.pop('type')]}]"
        written |= items
    elif items is not None:
        written["items"] = _compact(items, snake_case=snake_case, lists=lists)
    if snake_case:
        written = {SNAKE_CASE.get(name, name): value for name, value in written.items()}
    return written


def _with_format(keywords: Keywords) -> Keywords:
    meant = dict(keywords)
    if meant["type"] == "number":
        meant.setdefault("format", "double")
    if "items" in meant:
        meant["items"] = _with_format(meant["items"])
    if meant.get("minItems") == 0:
        del meant["minItems"]
    return meant


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.one_of(
    st.sampled_from(["no", "1", "yes", "~", "null", "1e3", "größe", "高さ", "a b", "!", "#x"]),
    st.text(
        st.characters(exclude_categories=["C", "Z"], exclude_characters=UNSPEAKABLE),
        min_size=1,
        max_size=12,
    ),
)


@st.composite
def integers(draw: st.DrawFn) -> tuple[Keywords, int]:
    """Keywords of an integer field, and a value that it accepts."""
    witness = draw(st.integers(-(2**62), 2**62))
    if draw(st.booleans()):
        others = draw(st.lists(st.integers(-5, 5), max_size=3))
        return {"type": "integer", "enum": list(dict.fromkeys([*others, witness]))}, witness
    keywords: Keywords = {"type": "integer"}
    if draw(st.booleans()):
        exclusive = draw(st.booleans())
        keywords["minimum"] = witness - draw(st.integers(int(exclusive), 2**61))
        keywords |= {"exclusiveMinimum": True} if exclusive else {}
    if draw(st.booleans()):
        exclusive = draw(st.booleans())
        keywords["maximum"] = witness + draw(st.integers(int(exclusive), 2**61))
        keywords |= {"exclusiveMaximum": True} if exclusive else {}
    return keywords, witness


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Keywords, float]:
    """Keywords of a number field, and a value that it accepts."""
    finite = {"allow_nan": False, "allow_infinity": False}
    witness = draw(st.floats(**finite))  # type: ignore[arg-type]  # flags only
    keywords: Keywords = {"type": "number"}
    low = draw(st.none() | st.floats(max_value=witness, **finite))  # type: ignore[arg-type]
    high = draw(st.none() | st.floats(min_value=witness, **finite))  # type: ignore[arg-type]
    if low is not None:
        keywords["minimum"] = low
        keywords |= {"exclusiveMinimum": True} if low < witness and draw(st.booleans()) else {}
    if high is not None:
        keywords["maximum"] = high
        keywords |= {"exclusiveMaximum": True} if high > witness and draw(st.booleans()) else {}
    if draw(st.booleans()):
        keywords["format"] = "float"
    return keywords, witness


@st.composite
def scalars(draw: st.DrawFn) -> tuple[Keywords, Any]:
    """Keywords of a field that is no array, and a value that it accepts."""
    kind = draw(st.sampled_from(["integer", "number", "boolean", "string"]))
    if kind == "boolean":
        return {"type": "boolean"}, draw(st.booleans())
    if kind == "string":
        members = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
        return {"type": "string", "enum": members}, members[-1]
    return draw(integers() if kind == "integer" else numbers())


@st.composite
def arrays(draw: st.DrawFn) -> tuple[Keywords, list[Any]]:
    """Keywords of an array, and a value that it accepts."""
    levels = draw(st.integers(1, 3))
    nested = levels > 1
    items, value = draw(st.one_of(integers(), numbers()) if nested else scalars())
    for _ in range(levels):
        size = draw(st.integers(1, 3))
        array: Keywords = {"type": "array", "items": items}
        if nested:
            array |= {"minItems": size, "maxItems": size}
        else:
            array |= {"minItems": draw(st.integers(0, size))} if draw(st.booleans()) else {}
            array |= {"maxItems": draw(st.integers(size, 9))} if draw(st.booleans()) else {}
        items, value = array, [value] * size
    return items, value


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Schemas that can be served."""
    properties = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        keywords, value = draw(st.one_of(scalars(), arrays()))
        if draw(st.booleans()):
            keywords["description"] = draw(TEXTS)
        keywords |= {"default": value} if draw(st.booleans()) else {}
        keywords |= {"example": value} if draw(st.booleans()) else {}
        properties[name] = keywords
    required = draw(st.sets(st.sampled_from(sorted(properties))))
    parameters = draw(
        st.fixed_dictionaries({}, optional=dict.fromkeys(("tuple", "discrete"), st.booleans()))
    )
    return Description(properties, frozenset(required), parameters)
