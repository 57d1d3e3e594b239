"""Truth values."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from policy_server.contract.fields.controls import Switch
from policy_server.contract.fields.field import Scalar, Value

SPELLINGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, kw_only=True)
class Boolean(Scalar):
    """True or false; its feature is 1 or 0."""

    json_type = "boolean"
    compact_type = "bool"
    python_type = bool
    is_truth = True

    @property
    def choices(self) -> tuple[bool, bool]:
        return False, True

    def values_in_words(self) -> str:
        return "a boolean"

    def entry_in_words(self) -> str:
        return "true or false"

    def control(self) -> Switch:
        return Switch()

    def parse(self, text: str) -> bool | str:
        return SPELLINGS.get(text.lower(), text)

    def decoded_type(self) -> Any:
        return bool

    def draw(self, rng: np.random.Generator, count: int) -> list[Value]:
        drawn: list[Value] = rng.integers(2, size=count).astype(bool).tolist()
        return drawn

    def spread(self, low: float, high: float, count: int) -> list[Value]:
        return [False, True]
