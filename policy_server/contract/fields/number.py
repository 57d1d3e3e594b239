"""Real numbers, as float64."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

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
    def uniform(
        rng: np.random.Generator, low: float, high: float, count: int
    ) -> NDArray[np.float64]:
        return _between(low, high, rng.random(count))

    def spread(self, low: float, high: float, count: int) -> list[Value]:
        spread: list[Value] = _between(low, high, np.linspace(0.0, 1.0, count)).tolist()
        return spread

    def parse(self, text: str) -> int | float | str:
        return parse_number(text)


def _between(low: float, high: float, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that lie at shares of the way from `low` to `high`."""
    # Not low + share * (high - low): the difference of two finite numbers may be infinite.
    return np.clip(low * (1.0 - shares) + high * shares, low, high)
