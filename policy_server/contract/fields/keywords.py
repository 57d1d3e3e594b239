"""The keywords of one field as a schema file gives them, and the faults found with them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from policy_server.contract.document import FaultList

BOUNDS = ("minimum", "maximum", "exclusive_minimum", "exclusive_maximum")
SIZES = ("min_items", "max_items")

Found = dict[str, tuple[yaml.Node, Any]]
"""Keyword in Python's spelling -> (where its value stands, the value)."""


@dataclass(frozen=True)
class Keywords:
    """The keywords of one field.

    Attributes:
        name: What faults call the field.
        found: The keywords, `type` among them.
        faults: Where faults go.
    """

    name: str
    found: Found
    faults: FaultList

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.found

    def value(self, keyword: str) -> Any:
        """The value of a keyword; None where it is not given."""
        return self.found.get(keyword, (None, None))[1]

    def fault(self, keyword: str, detail: str) -> None:
        """Note a fault at the line of a keyword's value."""
        self.faults.add(self.found[keyword][0], detail)

    def refuse(self, keywords: Iterable[str], owners: str) -> None:
        """Note a fault for each of these keywords that is given: only other types take it."""
        for keyword in keywords:
            if keyword in self:
                self.fault(keyword, f"`{keyword}` of `{self.name}` goes with {owners} only.")
