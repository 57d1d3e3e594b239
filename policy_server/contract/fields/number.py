"""Real numbers, as float64."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from policy_server.contract.fields.bounded import Bounded, is_finite_number, parse_number
from policy_server.contract.fields.field import Value


@dataclass(frozen=True, kw_only=True)
class Number(Bounded):
    """A real number.

    Attributes:
        format: Double where a schema does not say: some generators take float32 otherwise.
    """

    json_type = "number"
    compact_type = "float"
    python_type = float
    noun = entry_noun = "a number"
    stepless = True

    format: str | None = "double"

    def unservable(self, value: Any) -> str | None:
        return None if is_finite_number(value) else f"{value} is not finite"

    @staticmethod
    def first(bound: float, *, exclusive: bool) -> float:
        nearest = float(bound)  # of an integer beyond 2^53, perhaps on the wrong side of it
        outside = nearest <= bound if exclusive else nearest < bound
        return math.nextafter(nearest, math.inf) if outside else nearest

    def decoded_type(self) -> Any:
        lowest, highest = self.lowest, self.highest
        if lowest is None and highest is None:
            return float
        return Annotated[float, Meta(ge=lowest, le=highest)]

    def decoded_default(self) -> "Value | None":
        return float(self.default) if isinstance(self.default, int) else self.default

    @staticmethod
    def between(low: float, high: float, share: float) -> float:
        # Not low + share * (high - low): the difference of two finite numbers may be infinite.
        return min(max(low * (1.0 - share) + high * share, low), high)

    def spread(self, low: float, high: float, count: int) -> list[Value]:
        shares = [index / (count - 1) for index in range(count)] if count > 1 else [0.0]
        return [self.between(low, high, share) for share in shares]

    def parse(self, text: str) -> int | float | str:
        return parse_number(text)
