"""Strings of a list; free text makes no features, so there is none."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

from policy_server.contract.fields.enumerated import Enumerated, check_values
from policy_server.contract.fields.keywords import Keywords


@dataclass(frozen=True, kw_only=True)
class String(Enumerated):
    """One of a list of strings; its features are one-hot."""

    json_type = "string"
    compact_type = "str"
    python_type = str
    textual = True
    comma_free = False

    @classmethod
    def check_enum(cls, given: Keywords) -> None:
        if "enum" in given:
            remedy = ", in quotes where YAML would read something else"
            check_values(given, cls.json_type, str, remedy)
        else:
            fault = f"the string `{given.name}` needs `enum`, the list of its values."
            given.fault("type", fault)

    @property
    def feature_width(self) -> int:
        return len(self.enum)

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        return f"*{self._table(tables)}[{place}]"

    def feature_terms_of_list(self, place: str, tables: dict[str, Any]) -> str:
        tables["chain"] = chain.from_iterable
        return f"*chain(map({self._table(tables)}.__getitem__, {place}))"

    def _table(self, tables: dict[str, Any]) -> str:
        """The name of a table from a value to its features."""
        table = f"t{len(tables)}"
        tables[table] = {
            value: tuple(float(value == member) for member in self.enum) for value in self.enum
        }
        return table

    def parse(self, text: str) -> str:
        return text
