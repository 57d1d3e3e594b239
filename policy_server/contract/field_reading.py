"""One field of a schema file: its keywords and its type, in either dialect."""

import re
from dataclasses import dataclass, field, replace
from typing import cast

import yaml

from policy_server.contract.dependence import check_dependence
from policy_server.contract.document import (
    FaultList,
    entries,
    line_of,
    mapping,
    plain_value,
    switch,
)
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.field import Field, Value
from policy_server.contract.fields.keywords import BOUNDS, SIZES, Found, Keywords
from policy_server.contract.fields.registry import COMPACT_TYPES, TYPES

LIST_OF = re.compile(r"[Ll]ist\[(.+)\]")
KEYWORDS = {
    "type": "type",
    "description": "description",
    "format": "format",
    "unit": "unit",
    "mask_of": "mask_of",
    "depends_on": "depends_on",
    "enum": "enum",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "items": "items",
    "minItems": "min_items",
    "maxItems": "max_items",
    "shape": "shape",
    "encoding": "encoding",
    "default": "default",
    "example": "example",
}
TEXTS = ("description", "format", "unit", "mask_of", "encoding")
VALUES = ("enum", "default", "example")
"""What stands in these is text where the field, or what its arrays hold, is a string."""
NOT_KEPT = ("type", "items", "shape", "default", "example")
"""Not what the first, bare field is made of."""
MAX_NESTING = 8


@dataclass
class FieldReader:
    """Reads fields one after the other and collects what is wrong with them.

    Attributes:
        faults: Where faults go.
        compact: Whether types are spelt `int`, `List[float]`, ... and fields say `required`.
        optional: Names of the fields that said `required: false`.
        warnings: What was read but ignored.
        places: Where each field stands.
    """

    faults: FaultList
    compact: bool = False
    optional: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    places: dict[str, yaml.Node] = field(default_factory=dict)

    def read(self, name: str, node: yaml.Node) -> Field | None:
        """Read the field `name`; None where it is not even a mapping with a known type."""
        self.places[name] = node
        found = self._keywords(name, node, top=True)
        return self._field(name, node, found) if found is not None else None

    def _keywords(self, name: str, node: yaml.Node, *, top: bool) -> Found | None:
        body = mapping(node, f"the field `{name}`", self.faults)
        if body is None:
            return None
        known = self._known(top=top)
        found: Found = {}
        for keyword, key, value in entries(body, self.faults):
            if keyword == "required" and self.compact and top:
                self._read_required(name, value)
            elif keyword in known and known[keyword] in found:
                self.faults.add(key, f"`{keyword}` stands here in two spellings: keep one of them.")
            elif keyword == "items":
                found["items"] = (value, None)
            elif keyword in known:
                try:
                    found[known[keyword]] = (value, plain_value(value, text=keyword in TEXTS))
                except ValueError as error:
                    self.faults.add(value, f"`{keyword}` of `{name}` cannot be read: {error}.")
            elif keyword != "title" and not keyword.startswith("x-"):
                self.faults.add(
                    key, f"`{keyword}` of `{name}` is not supported: {', '.join(known)} are."
                )
        return found

    def _known(self, *, top: bool) -> dict[str, str]:
        """The keywords that may stand here, each with its spelling in Python."""
        known = dict(KEYWORDS)
        if self.compact:
            known |= {python_name: python_name for python_name in KEYWORDS.values()}
        if not top:
            del known["depends_on"]
        return known

    def _read_required(self, name: str, node: yaml.Node) -> None:
        required = switch(node)
        if required is False:
            self.optional.add(name)
        elif required is None:
            self.faults.add(node, f"`required` of `{name}` is true or false.")

    def _field(self, name: str, node: yaml.Node, found: Found, depth: int = 0) -> Field | None:
        if depth > MAX_NESTING:
            self.faults.add(node, f"`{name}` is nested deeper than {MAX_NESTING} arrays.")
            return None
        if "type" not in found:
            self.faults.add(node, f"`{name}` needs a `type`: {self._type_names()}.")
            return None
        type_node, written = found["type"]
        if self.compact and (match := LIST_OF.fullmatch(str(written))):
            return self._list(name, node, found, match[1], depth)
        types = TYPES | COMPACT_TYPES if self.compact else TYPES
        if not isinstance(written, str) or written not in types:
            self.faults.add(
                type_node, f"`{written}` of `{name}` is not a type: {self._type_names()}."
            )
            return None
        kind = types[written]
        items = self._items(name, node, found, depth) if kind is Array else None
        return self._checked(name, kind, items, found)

    def _type_names(self) -> str:
        if not self.compact:
            return ", ".join(sorted(TYPES))
        scalars = [name for name, kind in COMPACT_TYPES.items() if kind is not Array]
        return ", ".join([*scalars, "List[int]", "List[float]"])

    def _list(
        self, name: str, node: yaml.Node, found: Found, item_type: str, depth: int
    ) -> Field | None:
        """`List[int]`: bounds, enum and format speak of the items, all else of the list."""
        of_items = {key: found[key] for key in (*BOUNDS, "enum", "format", "unit") if key in found}
        of_list = {key: value for key, value in found.items() if key not in of_items}
        of_items["type"] = (found["type"][0], item_type.strip())
        if "items" in of_list:
            remedy = f"`items` of `{name}` goes with the type `list`: {found['type'][1]} says it."
            self.faults.add(found["items"][0], remedy)
        items = self._field(f"{name}[]", node, of_items, depth + 1)
        return self._checked(name, Array, items, of_list) if items is not None else None

    def _items(self, name: str, node: yaml.Node, found: Found, depth: int) -> Field | None:
        if "items" not in found:
            self.faults.add(node, f"the array `{name}` needs `items`, what each of its items is.")
            return None
        keywords = self._keywords(f"{name}[]", found["items"][0], top=False)
        if keywords is None:
            return None
        return self._field(f"{name}[]", found["items"][0], keywords, depth + 1)

    def _checked(
        self, name: str, kind: type[Field], items: Field | None, found: Found
    ) -> Field | None:
        if (items.leaf if items else kind).textual:
            nodes = {key: found[key][0] for key in VALUES if key in found}
            found = found | {
                key: (node, plain_value(node, text=True)) for key, node in nodes.items()
            }
        before = len(self.faults.faults)
        if kind is Array and items is not None and "shape" in found:
            items, found = self._shaped(name, items, found)
            if len(self.faults.faults) > before:
                return None
        given = Keywords(name, found, self.faults)
        kind.check(given, items)
        for keyword in filter(found.__contains__, TEXTS):
            if not isinstance(given.value(keyword), str):
                given.fault(keyword, f"`{keyword}` of `{name}` is a text.")
        check_dependence(given)
        if len(self.faults.faults) > before or (kind is Array and items is None):
            return None
        values = {key: value for key, (_, value) in found.items() if key not in NOT_KEPT}
        for keyword in filter(values.__contains__, ("enum", "depends_on")):
            values[keyword] = tuple(values[keyword])
        field = kind.of(values if items is None else {**values, "items": items})
        if field.is_empty():
            keyword = "minimum" if "minimum" in given else "maximum"
            given.fault(keyword, f"no {kind.json_type} lies within the bounds of `{name}`.")
        return self._with_values(name, field, given)

    def _shaped(self, name: str, items: Field, found: Found) -> tuple[Field, Found]:
        """What `shape: [84, 84, 4]` is short for: arrays in arrays, each of a fixed size."""
        node, shape = found["shape"]
        sound = isinstance(shape, list) and 0 < len(shape) <= MAX_NESTING + 1
        if not sound or any(type(size) is not int or size < 1 for size in shape):
            wanted = f"is a list of 1 to {MAX_NESTING + 1} sizes, `[84, 84, 4]`."
            self.faults.add(node, f"`shape` of `{name}` {wanted}")
        elif any(keyword in found for keyword in SIZES):
            self.faults.add(node, f"`shape` of `{name}` says how many items there are: it alone.")
        elif isinstance(items, Array):
            self.faults.add(node, f"`shape` of `{name}` has all sizes: its items are no arrays.")
        else:
            for size in reversed(shape[1:]):
                items = Array(items=items, min_items=size, max_items=size)
            found = found | {size: (node, shape[0]) for size in SIZES}
        return items, found

    def _with_values(self, name: str, bare: Field, given: Keywords) -> Field:
        """Add `default` and `example`: a wrong default is a fault, a wrong example is left out."""
        default, example = given.value("default"), given.value("example")
        if "default" in given and (wrong := bare.wrong_value(default)):
            given.fault("default", f"`default` of `{name}`: {wrong}.")
        if "example" in given and (wrong := bare.wrong_value(example)):
            place = f"{self.faults.file}:{line_of(given.found['example'][0])}"
            self.warnings.append(f"{place}: `example` of `{name}` is left out: {wrong}.")
            example = None
        return replace(bare, default=cast(Value, default), example=cast(Value, example))
