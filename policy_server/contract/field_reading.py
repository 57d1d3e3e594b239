"""One field of a schema file: its keywords, its type, and whether they go together."""

import math
import re
from dataclasses import dataclass, field
from typing import Any, TypeGuard, cast

import jsonschema
import yaml

from policy_server.contract.document import FaultList, entries, line_of, mapping, plain_value
from policy_server.contract.schema import Field, FieldType, Value

TYPES: dict[str, FieldType] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "string": "string",
    "array": "array",
}
COMPACT_TYPES: dict[str, FieldType] = {
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "str": "string",
    "list": "array",
}
LIST_OF = re.compile(r"[Ll]ist\[(.+)\]")
KEYWORDS = {
    "type": "type",
    "description": "description",
    "format": "format",
    "enum": "enum",
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "items": "items",
    "minItems": "min_items",
    "maxItems": "max_items",
    "default": "default",
    "example": "example",
}
BOUNDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")
SIZES = ("min_items", "max_items")
MAX_ARRAY_ITEMS = 1_000_000

Keywords = dict[str, tuple[yaml.Node, Any]]
"""Keyword in Python's spelling -> (where its value stands, the value)."""


@dataclass
class FieldReader:
    """Reads fields one after the other and collects what is wrong with them.

    Attributes:
        faults: Where faults go.
        compact: Whether types are spelt `int`, `List[float]`, ... and fields say `required`.
        optional: Names of the fields that said `required: false`.
        warnings: What was read but ignored.
    """

    faults: FaultList
    compact: bool = False
    optional: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)

    def read(self, name: str, node: yaml.Node) -> Field | None:
        """Read the field `name`; None where it is not even a mapping with a known type."""
        found = self._keywords(name, node, top=True)
        return self._field(name, node, found) if found is not None else None

    def _keywords(self, name: str, node: yaml.Node, *, top: bool) -> Keywords | None:
        body = mapping(node, f"the field `{name}`", self.faults)
        if body is None:
            return None
        known = dict(KEYWORDS)
        if self.compact:
            known |= {python_name: python_name for python_name in KEYWORDS.values()}
        found: Keywords = {}
        for keyword, key, value in entries(body, self.faults):
            if keyword == "required" and self.compact and top:
                self._read_required(name, value)
            elif keyword in known:
                found[known[keyword]] = (value, self._value(name, keyword, value))
            elif keyword != "title" and not keyword.startswith("x-"):
                self.faults.add(
                    key, f"`{keyword}` of `{name}` is not supported: {', '.join(known)} are."
                )
        return found

    def _value(self, name: str, keyword: str, node: yaml.Node) -> object:
        if keyword == "items":
            return None
        try:
            return plain_value(node)
        except (ValueError, yaml.YAMLError) as error:
            self.faults.add(node, f"`{keyword}` of `{name}` cannot be read: {error}.")
            return None

    def _read_required(self, name: str, node: yaml.Node) -> None:
        required = plain_value(node)
        if required is False:
            self.optional.add(name)
        elif required is not True:
            self.faults.add(node, f"`required` of `{name}` is true or false.")

    def _field(self, name: str, node: yaml.Node, found: Keywords) -> Field | None:
        if "type" not in found:
            self.faults.add(node, f"`{name}` needs a `type`: {self._type_names()}.")
            return None
        type_node, written = found["type"]
        if self.compact and (match := LIST_OF.fullmatch(str(written))):
            return self._list(name, node, found, match[1])
        types = TYPES | COMPACT_TYPES if self.compact else TYPES
        if written not in types:
            self.faults.add(
                type_node, f"`{written}` of `{name}` is not a type: {self._type_names()}."
            )
            return None
        items = self._items(name, node, found) if types[written] == "array" else None
        return self._checked(name, types[written], items, found)

    def _type_names(self) -> str:
        return (
            "int, float, bool, str, List[int], List[float]"
            if self.compact
            else ", ".join(sorted(TYPES))
        )

    def _list(self, name: str, node: yaml.Node, found: Keywords, item_type: str) -> Field | None:
        """`List[int]`: bounds, enum and format speak of the items, all else of the list."""
        of_items = {key: found[key] for key in (*BOUNDS, "enum", "format") if key in found}
        of_list = {key: value for key, value in found.items() if key not in of_items}
        of_items["type"] = (found["type"][0], item_type.strip())
        items = self._field(f"{name}[]", node, of_items)
        return self._checked(name, "array", items, of_list) if items is not None else None

    def _items(self, name: str, node: yaml.Node, found: Keywords) -> Field | None:
        if "items" not in found:
            self.faults.add(node, f"the array `{name}` needs `items`, what each of its items is.")
            return None
        keywords = self._keywords(f"{name}[]", found["items"][0], top=False)
        return self._field(f"{name}[]", found["items"][0], keywords) if keywords else None

    def _checked(
        self, name: str, type_: FieldType, items: Field | None, found: Keywords
    ) -> Field | None:
        before = len(self.faults.faults)
        self._check_enum(name, type_, found)
        self._check_bounds(name, type_, found)
        self._check_sizes(name, type_, items, found)
        for keyword in ("description", "format"):
            if keyword in found and not isinstance(found[keyword][1], str):
                self.faults.add(found[keyword][0], f"`{keyword}` of `{name}` is a text.")
        if len(self.faults.faults) > before or (type_ == "array" and items is None):
            return None
        values = {key: value for key, (_, value) in found.items() if key not in ("type", "items")}
        values["enum"] = tuple(values.get("enum", ()))
        default, example = values.pop("default", None), values.pop("example", None)
        bare = Field(type=type_, items=items, **values)
        return self._with_values(name, bare, default, example, found)

    def _check_enum(self, name: str, type_: FieldType, found: Keywords) -> None:
        if "enum" not in found:
            return
        node, values = found["enum"]
        wanted = {"string": str, "integer": int}.get(type_)
        if wanted is None:
            self.faults.add(node, f"`enum` of `{name}` goes with strings and integers only.")
        elif not isinstance(values, list) or not values:
            self.faults.add(node, f"`enum` of `{name}` is a list of its values.")
        elif any(not isinstance(value, wanted) or isinstance(value, bool) for value in values):
            self.faults.add(node, f"every value in `enum` of `{name}` must be a {type_}.")
        elif len(set(values)) < len(values):
            self.faults.add(node, f"`enum` of `{name}` lists a value twice.")
        elif any(keyword in found for keyword in BOUNDS):
            self.faults.add(node, f"`{name}` has bounds beside `enum`: the list alone is enough.")

    def _check_bounds(self, name: str, type_: FieldType, found: Keywords) -> None:
        if type_ == "string" and "enum" not in found:
            self.faults.add(
                found["type"][0], f"the string `{name}` needs `enum`, the list of its values."
            )
        for keyword in BOUNDS:
            if keyword not in found:
                continue
            node, value = found[keyword]
            if type_ not in ("integer", "number"):
                self.faults.add(node, f"`{keyword}` of `{name}` goes with numbers only.")
            elif keyword.startswith("exclusive"):
                if not isinstance(value, bool):
                    self.faults.add(node, f"`{keyword}` of `{name}` is true or false.")
            elif not _is_finite_number(value):
                self.faults.add(node, f"`{keyword}` of `{name}` is a finite number.")
        self._check_range(name, type_, found)

    def _check_range(self, name: str, type_: FieldType, found: Keywords) -> None:
        low, high = (found.get(key, (None, None))[1] for key in ("minimum", "maximum"))
        if not (_is_finite_number(low) and _is_finite_number(high)):
            return
        if type_ == "integer":
            low = math.floor(low) + 1 if _flag(found, "exclusive_minimum") else math.ceil(low)
            high = math.ceil(high) - 1 if _flag(found, "exclusive_maximum") else math.floor(high)
            empty = low > high
        else:
            open_end = _flag(found, "exclusive_minimum") or _flag(found, "exclusive_maximum")
            empty = low > high or (low == high and open_end)
        if empty:
            self.faults.add(found["minimum"][0], f"no {type_} lies within the bounds of `{name}`.")

    def _check_sizes(
        self, name: str, type_: FieldType, items: Field | None, found: Keywords
    ) -> None:
        for keyword in SIZES:
            if keyword not in found:
                continue
            node, value = found[keyword]
            if type_ != "array":
                self.faults.add(node, f"`{keyword}` of `{name}` goes with arrays only.")
            elif type(value) is not int or not 0 <= value <= MAX_ARRAY_ITEMS:
                self.faults.add(node, f"`{keyword}` of `{name}` is a count up to 1,000,000.")
        low, high = (found.get(key, (None, None))[1] for key in SIZES)
        if type(low) is int and type(high) is int and low > high:
            self.faults.add(
                found["min_items"][0], f"`{name}` has more items at least than at most."
            )
        if items is not None and items.type == "array":
            self._check_nesting(name, items, found)

    def _check_nesting(self, name: str, items: Field, found: Keywords) -> None:
        innermost = items
        while innermost.items is not None:
            innermost = innermost.items
        sizes = [found.get(key, (None, None))[1] for key in SIZES]
        fixed = sizes[0] is not None and sizes[0] == sizes[1] and items.feature_width is not None
        if innermost.type not in ("number", "integer") or not fixed:
            self.faults.add(
                found["type"][0],
                f"the nested array `{name}` must hold numbers and have a fixed size: "
                "minItems equal to maxItems at every level.",
            )

    def _with_values(
        self, name: str, bare: Field, default: object, example: object, found: Keywords
    ) -> Field:
        """Add `default` and `example`: a wrong default is a fault, a wrong example is left out."""
        if "default" in found and (wrong := _wrong(bare, default)):
            self.faults.add(found["default"][0], f"`default` of `{name}`: {wrong}.")
        if "example" in found and (wrong := _wrong(bare, example)):
            place = f"{self.faults.file}:{line_of(found['example'][0])}"
            self.warnings.append(f"{place}: `example` of `{name}` is left out: {wrong}.")
            example = None
        return Field(
            **{**vars(bare), "default": cast(Value, default), "example": cast(Value, example)}
        )


def _is_finite_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _flag(found: Keywords, keyword: str) -> bool:
    return keyword in found and found[keyword][1] is True


def _wrong(field: Field, value: object) -> str | None:
    """What is wrong with a value of the field, or None."""
    error = next(jsonschema.Draft4Validator(field.as_json_schema()).iter_errors(value), None)
    return str(error.message) if error else None
