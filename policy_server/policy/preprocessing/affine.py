"""`scale` and `offset`: a number times one, and plus one."""

from typing import Self

import numpy as np

from policy_server.policy.preprocessing.operation import Given, Operation, shown


class Scale(Operation):
    """Multiplies."""

    word = "scale"
    arithmetic = ((np.multiply, 1.0),)

    @classmethod
    def read(cls, given: Given) -> Self | None:
        factors = given.numbers()
        return None if factors is None else cls(factors)

    def in_words(self, expression: str, index: int) -> str:
        return f"{expression} * {shown(self.operands[0][index])}"


class Offset(Operation):
    """Adds."""

    word = "offset"
    arithmetic = ((np.add, 0.0),)

    @classmethod
    def read(cls, given: Given) -> Self | None:
        terms = given.numbers()
        return None if terms is None else cls(terms)

    def in_words(self, expression: str, index: int) -> str:
        term = float(self.operands[0][index])
        return f"{expression} {'-' if term < 0 else '+'} {shown(abs(term))}"
